import { percentOf } from "./money.js";

export function createCart() {
  return { lines: [] };
}

/** A new cart with `quantity` of an article in it. */
export function addLine(cart, article, quantity = 1) {
  if (!Number.isInteger(quantity) || quantity < 1) {
    throw new RangeError(`quantity must be a whole number of at least 1, got ${quantity}`);
  }
  return { ...cart, lines: [...cart.lines, { article, quantity }] };
}

export function subtotal(cart) {
  return cart.lines.reduce((sum, { article, quantity }) => sum + article.cents * quantity, 0);
}

/** Value added tax that is contained in the total. */
export function tax(cart, percent) {
  return percentOf(subtotal(cart), percent);
}

export function total(cart) {
  return subtotal(cart);
}
