// Draws the plots in the colours of the page, again whenever those change; opens what a link leads to.
"use strict";
(() => {
  const narrow = 560;
  const canvases = [...document.querySelectorAll(".canvas")];

  // Every "var(--name)" of a figure becomes the colour that the page has for it now.
  function coloured(value, style) {
    if (typeof value === "string") {
      const found = /^var\((--[a-z]+)\)$/.exec(value);
      return found ? style.getPropertyValue(found[1]).trim() : value;
    }
    if (Array.isArray(value)) return value.map((each) => coloured(each, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, coloured(each, style)]));
    }
    return value;
  }

  // At most so many letters; an escaped one (&amp;) is one letter and is not cut in two.
  function shortened(text, most) {
    const letters = text.match(/&[a-z]+;|./gsu) ?? [];
    return letters.length > most ? letters.slice(0, most - 1).join("") + "…" : text;
  }

  function draw(canvas) {
    const raw = JSON.parse(document.getElementById(canvas.dataset.figure).textContent);
    const figure = coloured(raw, getComputedStyle(document.documentElement));
    const layout = figure.layout;
    layout.font.family = getComputedStyle(document.body).fontFamily;
    layout.width = canvas.clientWidth;
    if (canvas.clientWidth < narrow && layout.annotations) {
      layout.annotations = layout.annotations.filter((each) => each.name !== "wide");
      for (const each of layout.annotations) {
        if (each.name === "label") each.text = shortened(each.text, Math.floor(canvas.clientWidth / 7.2));
      }
    }
    return Plotly.react(canvas, figure.data, layout, { displayModeBar: false, responsive: false, showTips: false });
  }

  function redraw() {
    return Promise.all(canvases.map(draw)).then(() => {
      // Plotly measures texts in a picture of its own, which is nothing to read out.
      document.getElementById("js-plotly-tester")?.setAttribute("aria-hidden", "true");
      document.documentElement.dataset.drawn = "true";
    });
  }

  function reveal() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let each = target; each; each = each.parentElement) {
      if (each instanceof HTMLDetailsElement) each.open = true;
    }
    if (target) target.scrollIntoView();
  }

  if (canvases.length) {
    let width = 0;
    new ResizeObserver(() => {
      const now = canvases[0].clientWidth;
      if (now !== width) { width = now; redraw(); }
    }).observe(canvases[0]);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    matchMedia("print").addEventListener("change", redraw);
  } else {
    document.documentElement.dataset.drawn = "true";
  }
  addEventListener("hashchange", reveal);
  reveal();
})();
