"use strict";

// Recommendations come late and are not worth waiting for: fetched after the page.
async function showRecommendations(section) {
  const answer = await fetch(`/recommendations?product=${section.dataset.product}`);
  if (!answer.ok) {
    return;
  }
  const { products } = await answer.json();
  const heading = document.createElement("h2");
  heading.textContent = "You may also like";
  const list = document.createElement("ul");
  for (const product of products) {
    const link = document.createElement("a");
    link.href = `/product/${product.id}`;
    link.textContent = `${product.brand} ${product.name}`;
    const item = document.createElement("li");
    item.append(link, ` € ${(product.price_cents / 100).toFixed(2)}`);
    list.append(item);
  }
  section.replaceChildren(heading, list);
  section.hidden = false;
}

// A second click while the first is under way must not order twice.
function guardAgainstDoubleClicks(form) {
  form.addEventListener("submit", () => {
    form.querySelector("button").disabled = true;
  });
}

document.querySelectorAll("[data-product]").forEach(showRecommendations);
document.querySelectorAll("form.buy").forEach(guardAgainstDoubleClicks);
