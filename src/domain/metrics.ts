/** Everything that is counted for operators, by name: what `GET /metrics` can say. */
export interface MetricSpec {
  readonly kind: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
}

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200];

const counter = (help: string, ...labels: string[]) => ({ kind: "counter", help, labels }) as const;
const gauge = (help: string, ...labels: string[]) => ({ kind: "gauge", help, labels }) as const;
const seconds = (help: string, ...labels: string[]) =>
  ({ kind: "histogram", help, labels, buckets: SECONDS }) as const;

/** Labels hold few values each: classes, scopes, statuses; tenants only in `queue_tenant_runs`, and only the fullest. */
export const METRICS = {
  queue_runs: gauge("Runs that were accepted and have not begun, by priority class.", "class"),
  queue_tenant_runs: gauge("The same by tenant; all but the fullest are `other`.", "tenant"),
  queue_wait_estimate_seconds: gauge("How long a run of the class that came now would wait.", "class"),
  queue_refused: gauge("Runs refused by the store since it was made, by the cap they met.", "cap"),
  queue_dropped: gauge("Runs that gave way to more urgent ones since the store was made."),
  runs: gauge("Runs in the store, by status.", "status"),
  open_runs: gauge("Runs that have not ended, by where they are: ready, parked, leased, resting.", "place"),
  workers: gauge("Live workers."),
  worker_slots: gauge("Runs that all live workers together may drive at a time."),
  service_seconds: gauge("How long a run keeps a slot, on average, lately."),
  admissions_total: counter("Runs accepted by this process.", "class"),
  refusals_total: counter("Runs refused by this process.", "scope", "class", "code"),
  throttled_total: counter("Requests told to come again later, by whose limit they met.", "scope"),
  dropped_low_priority_total: counter("Runs dropped for more urgent ones this process accepted."),
  run_wait_seconds: seconds("From admission to the beginning of a run that this process drove.", "class"),
  run_seconds: seconds("From admission to the end of a run that this process drove.", "class", "status"),
  runs_ended_total: counter("Runs that this process drove to their end.", "status", "code"),
  sla_breaches_total: counter("Promises missed by runs that this process drove.", "what", "class"),
  retries_total: counter("Steps tried again, or not, by what the budget of retries said.", "budget"),
  http_request_seconds: seconds(
    "Answers of the HTTP door, by route and status.",
    "method",
    "route",
    "status",
  ),
} as const satisfies Readonly<Record<string, MetricSpec>>;

export type MetricName = keyof typeof METRICS;
export type MetricNamed<K extends MetricSpec["kind"]> = {
  [N in MetricName]: (typeof METRICS)[N]["kind"] extends K ? N : never;
}[MetricName];
