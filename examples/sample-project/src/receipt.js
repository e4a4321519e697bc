import { subtotal, total } from "./cart.js";
import { formatCents } from "./money.js";

const WIDTH = 32;

function line(left, right) {
  return `${left.padEnd(WIDTH - right.length)}${right}`;
}

/** The receipt as it is printed. */
export function receipt(cart) {
  const lines = cart.lines.map(({ article, quantity }) =>
    line(`${quantity} x ${article.name}`, formatCents(article.cents * quantity)),
  );
  return [
    ...lines,
    line("Subtotal", formatCents(subtotal(cart))),
    line("Total", formatCents(total(cart))),
  ].join("\n");
}
