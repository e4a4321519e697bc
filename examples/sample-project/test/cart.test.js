import assert from "node:assert/strict";
import { test } from "node:test";
import { addLine, createCart, subtotal, total } from "../src/cart.js";
import { receipt } from "../src/receipt.js";

const tea = { name: "Tea", cents: 349 };
const milk = { name: "Milk", cents: 129 };

test("adds up its lines", () => {
  const cart = addLine(addLine(createCart(), tea, 2), milk);
  assert.equal(subtotal(cart), 827);
  assert.equal(total(cart), 827);
});

test("refuses half an article", () => {
  assert.throws(() => addLine(createCart(), tea, 0.5), RangeError);
});

test("prints a receipt", () => {
  const text = receipt(addLine(createCart(), tea, 2));
  assert.match(text, /2 x Tea\s+6\.98/);
  assert.match(text, /Total\s+6\.98/);
});
