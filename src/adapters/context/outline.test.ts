import { describe, expect, it } from "vitest";
import { installedGrammars, Outliner } from "./grammars.ts";
import { outlineByLines } from "./outline.ts";

const outliner = new Outliner();

async function names(path: string, text: string): Promise<readonly string[]> {
  return (await outliner.outline(path, text)).map(({ kind, name, line }) => `${line} ${kind} ${name}`);
}

describe("definitions found with a grammar", () => {
  it("has its grammars installed", () => {
    expect(installedGrammars()).not.toBeNull();
  });

  it.each([
    [
      "a.ts",
      `import { x } from "./x.ts";
export class Worker<T> extends Base {
  async claim(signal: AbortSignal): Promise<T> { const inner = 1; return inner as T; }
}
export interface Clock { now(): number }
export type Id = string;
enum Color { Red }
export const limit = 3, other = 4;
const fs = require("node:fs");
export function run() {}
`,
      [
        "2 class Worker",
        "3 method claim",
        "5 interface Clock",
        "6 type Id",
        "7 enum Color",
        "8 constant limit",
        "8 constant other",
        "10 function run",
      ],
    ],
    ["a.tsx", "export function Page() {\n  return <div>class Fake {}</div>;\n}\n", ["1 function Page"]],
    [
      "a.mjs",
      "class A { go() {} }\nA.prototype.stop = function () {};\nmodule.exports = { read() {} };\n",
      ["1 class A", "1 method go", "2 function stop"],
    ],
    [
      "a.py",
      'LIMIT = 3\n\nclass Flask(App):\n    def run(self):\n        def inner(): pass\n\n    @property\n    def name(self): pass\n\n@app.route("/")\nasync def index():\n    """def fake(): pass"""\n',
      ["1 constant LIMIT", "3 class Flask", "4 method run", "8 method name", "11 function index"],
    ],
    [
      "a.go",
      "package a\n\nconst Max = 3\n\ntype Engine struct {\n\tx int\n}\n\nfunc (e *Engine) Run(addr string) error {\n\treturn nil\n}\n\nfunc New() *Engine { return nil }\n",
      ["3 constant Max", "5 type Engine", "9 method Run", "13 function New"],
    ],
    [
      "a.rs",
      "pub struct Glob;\npub(crate) enum Kind { A }\ntrait Match { fn is(&self) -> bool; }\nimpl Glob {\n    pub fn new() -> Self { Glob }\n}\nmacro_rules! err { () => {} }\n",
      ["1 class Glob", "2 enum Kind", "3 interface Match", "3 function is", "5 function new", "7 macro err"],
    ],
    [
      "A.java",
      "package a;\npublic final class Gson {\n  public Gson() {}\n  public <T> T fromJson(String json) { return null; }\n  enum Kind { A }\n}\nrecord Point(int x) {}\n",
      ["2 class Gson", "3 method Gson", "4 method fromJson", "5 enum Kind", "7 class Point"],
    ],
    [
      "a.c",
      "#define LIMIT 3\ntypedef struct node node_t;\nstruct node { int x; };\nstatic int *find(struct node *n) { return 0; }\nint main(void) { return 0; }\n",
      ["1 macro LIMIT", "2 type node_t", "3 class node", "4 function find", "5 function main"],
    ],
    [
      "a.cpp",
      "namespace app {\nclass Store : public Base {\n public:\n  int get() const { return 1; }\n};\ntemplate <typename T> T pick(T a) { return a; }\nvoid Store::put() {}\n}\n",
      ["1 module app", "2 class Store", "4 function get", "6 function pick", "7 function Store::put"],
    ],
    [
      "a.rb",
      "module App\n  class User < Base\n    ROLE = 1\n    def name; end\n    def self.find(id)\n    end\n  end\nend\n",
      ["1 module App", "2 class User", "3 constant ROLE", "4 method name", "5 method find"],
    ],
    [
      "a.php",
      "<?php\nnamespace App;\ninterface Store {}\nfinal class User implements Store {\n  public function name(): string { return ''; }\n}\nfunction helper() {}\n",
      ["3 interface Store", "4 class User", "5 method name", "7 function helper"],
    ],
    [
      "a.cs",
      "namespace App;\npublic record Point(int X);\npublic class Store : IStore {\n  public int Count { get; set; }\n  public Store() {}\n  public async Task<int> GetAsync(int id) => id;\n}\ninterface IStore {}\n",
      [
        "2 class Point",
        "3 class Store",
        "4 property Count",
        "5 method Store",
        "6 method GetAsync",
        "8 interface IStore",
      ],
    ],
    [
      "a.sh",
      "#!/bin/sh\nbuild() {\n  echo ok\n}\nfunction deploy { :; }\n",
      ["2 function build", "5 function deploy"],
    ],
    ["a.ps1", "function Get-Thing {\n}\n", ["1 function Get-Thing"]],
  ])("%s", async (path, text, expected) => {
    expect(await names(path, text)).toEqual(expected);
  });

  it("falls back to the shape of lines for text that is too long to parse", async () => {
    const text = `function first() {}\n${"// filler line\n".repeat(40_000)}function last() {}\n`;
    expect(await names("long.js", text)).toEqual(["1 function first", "40002 function last"]);
  });

  it("reads broken source as far as it goes", async () => {
    expect(await names("a.ts", "export class Whole {}\nfunction broken( {{{\n")).toContain("1 class Whole");
  });
});

describe("definitions found by the shape of lines", () => {
  it.each([
    [
      "A.kt",
      "package a\n\nsealed interface Result<out T>\ndata class User(val id: Int)\nobject Registry {\n  private suspend fun load(id: Int): User = TODO()\n}\nfun <T> List<T>.second(): T = this[1]\ninline fun String.shout() = uppercase()\ntypealias Name = String\n",
      [
        "3 interface Result",
        "4 class User",
        "5 class Registry",
        "6 function load",
        "8 function second",
        "9 function shout",
        "10 type Name",
      ],
    ],
    [
      "A.swift",
      "public final class Store {\n  static func load() {}\n}\nprotocol Readable {}\nextension Store {}\n",
      ["1 class Store", "2 function load", "4 interface Readable", "5 type Store"],
    ],
    [
      "a.scala",
      "sealed trait Shape\ncase class Circle(r: Int)\nobject Main { def run() = 1 }\n",
      ["1 interface Shape", "2 class Circle", "3 class Main"],
    ],
    [
      "a.ex",
      "defmodule App.User do\n  def name(u), do: u\n  defp secret, do: 1\nend\n",
      ["1 module User", "2 function name", "3 function secret"],
    ],
    ["a.lua", "local function add(a, b)\nend\nfunction sub(a) end\n", ["1 function add", "3 function sub"]],
    [
      "a.proto",
      'syntax = "proto3";\nmessage User {}\nservice Users {\n  rpc Get(User) returns (User);\n}\n',
      ["2 class User", "3 interface Users", "4 function Get"],
    ],
    [
      "a.sql",
      "CREATE TABLE IF NOT EXISTS runs (id TEXT);\ncreate unique index runs_by ON runs (id);\n",
      ["1 type runs", "2 type runs_by"],
    ],
    [
      "README.md",
      "# Title\n\ntext\n\n## Getting started ##\n#### deep\n",
      ["1 heading Title", "5 heading Getting started"],
    ],
    [
      "Makefile",
      "CC := gcc\nbuild: main.c\n\t$(CC) main.c\ntest: build\n",
      ["2 target build", "4 target test"],
    ],
    ["data.json", '{\n"type": "class Foo"\n}\n', []],
    ["notes.txt", "function of the class\n", []],
  ])("%s", (path, text, expected) => {
    const found = outlineByLines(path, text).map(({ kind, name, line }) => `${line} ${kind} ${name}`);
    expect(found).toEqual(expected);
  });

  it("shows the line of a definition, trimmed and clipped", () => {
    const [entry] = outlineByLines("a.kt", `\n    fun   load(${"a: Int, ".repeat(40)}) {\n`);
    expect(entry?.line).toBe(2);
    expect(entry?.signature.startsWith("fun load(a: Int,")).toBe(true);
    expect(entry?.signature.length).toBeLessThanOrEqual(110);
  });
});
