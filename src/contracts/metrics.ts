import type { MetricNamed } from "../domain/metrics.ts";

export type MetricLabels = Readonly<Record<string, string>>;

/** Counts for operators. Never throws, never waits; a label that its metric does not name is a defect. */
export interface Metrics {
  count(name: MetricNamed<"counter">, labels?: MetricLabels, by?: number): void;
  observe(name: MetricNamed<"histogram">, value: number, labels?: MetricLabels): void;
  /** All values of a gauge; what was there before is gone. */
  set(
    name: MetricNamed<"gauge">,
    values: readonly { readonly labels?: MetricLabels; readonly value: number }[],
  ): void;
  /** As monitoring systems scrape it. */
  text(): Promise<{ readonly contentType: string; readonly body: string }>;
}
