import type { FastifyInstance } from "fastify";

interface Known {
  readonly path: RegExp;
  readonly methods: Set<string>;
}

/** Remembers the routes registered from now on; answers which methods a path has, none for an unknown path. */
export function watchMethods(app: FastifyInstance): (path: string) => readonly string[] {
  const known = new Map<string, Known>();
  app.addHook("onRoute", (route) => {
    const entry = known.get(route.url) ?? { path: pattern(route.url), methods: new Set<string>() };
    for (const method of [route.method].flat()) entry.methods.add(method);
    known.set(route.url, entry);
  });
  return (path) => {
    const methods = new Set<string>();
    for (const entry of known.values()) {
      if (entry.path.test(path)) for (const method of entry.methods) methods.add(method);
    }
    return [...methods].sort();
  };
}

/** `/runs/:id/events` → matches any one segment in the place of `:id`. */
function pattern(url: string): RegExp {
  const segments = url
    .split("/")
    .map((segment) =>
      segment.startsWith(":") ? "[^/]+" : segment.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"),
    );
  return new RegExp(`^${segments.join("/")}$`);
}
