import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Metrics } from "../../contracts/metrics.ts";
import { METRICS, type MetricName, type MetricSpec } from "../../domain/metrics.ts";

const PREFIX = "agent_runner_";

/** `process`: figures of the process and its event loop too (one such per process). */
export function createPrometheus(options: { readonly process?: boolean } = {}): Metrics {
  const registry = new Registry();
  if (options.process === true) collectDefaultMetrics({ register: registry, prefix: PREFIX });
  const counters = new Map<MetricName, Counter>();
  const gauges = new Map<MetricName, Gauge>();
  const histograms = new Map<MetricName, Histogram>();
  for (const [key, spec] of Object.entries(METRICS) as [MetricName, MetricSpec][]) {
    const base = { name: PREFIX + key, help: spec.help, labelNames: [...spec.labels], registers: [registry] };
    if (spec.kind === "counter") counters.set(key, new Counter(base));
    else if (spec.kind === "gauge") gauges.set(key, new Gauge(base));
    else histograms.set(key, new Histogram({ ...base, buckets: [...(spec.buckets ?? [])] }));
  }
  return {
    count(name, labels = {}, by = 1) {
      counters.get(name)?.inc({ ...labels }, by);
    },
    observe(name, value, labels = {}) {
      histograms.get(name)?.observe({ ...labels }, value);
    },
    set(name, values) {
      const gauge = gauges.get(name);
      gauge?.reset();
      for (const { labels = {}, value } of values) gauge?.set({ ...labels }, value);
    },
    text: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  };
}
