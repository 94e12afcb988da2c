"""Laying down a plugin where it is missing, and trying once more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from labcoat.watch.reach.base import CHECK_TIMEOUT_S, Answer, Fault, Order
from labcoat.watch.reach.script import LAID_ANEW, lays_down


async def with_plugin(order: Order, execute: Callable[[Order], Awaitable[Answer]]) -> Answer:
    """Execute the order; where its plugin is missing or changed, lay it down first.

    The script verifies the plugin's digest before each use, so an altered file is
    replaced and never executed.
    """
    answer = await execute(order)
    if order.plugin is None or answer.exit_status != LAID_ANEW:
        return answer
    laid = await execute(Order(command=lays_down(order.plugin), timeout_s=CHECK_TIMEOUT_S))
    if laid.exit_status != 0:
        said = laid.stderr.strip().splitlines()[-1:] or [laid.detail]
        return replace(
            laid,
            exit_status=None,
            fault=laid.fault or Fault.UNREACHABLE,
            detail=f"the plugin {order.plugin.name} cannot be laid down: {said[0]}",
        )
    again = await execute(order)
    if again.exit_status != LAID_ANEW:
        return again
    return replace(
        again,
        exit_status=None,
        fault=Fault.UNREACHABLE,
        detail=f"the plugin {order.plugin.name} changed under our hands, or sha256sum is missing",
    )
