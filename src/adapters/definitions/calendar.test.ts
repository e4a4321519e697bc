import { describe, expect, it } from "vitest";
import { createCalendar } from "./calendar.ts";

const calendar = createCalendar();
const BERLIN = "Europe/Berlin";

/** Due times after a moment, as UTC. */
function due(cron: string, after: string, count: number, timezone = BERLIN): string[] {
  const found: string[] = [];
  for (let at: number | null = Date.parse(after); found.length < count; ) {
    at = calendar.next(cron, timezone, at);
    if (at === null) break;
    found.push(new Date(at).toISOString().slice(0, 16));
  }
  return found;
}

describe("the calendar", () => {
  it("knows the hours of a time zone, in summer and in winter", () => {
    expect(due("0 3 * * *", "2026-01-10T12:00:00Z", 1)).toEqual(["2026-01-11T02:00"]);
    expect(due("0 3 * * *", "2026-07-10T12:00:00Z", 1)).toEqual(["2026-07-11T01:00"]);
    expect(due("0 3 * * MON-FRI", "2026-07-10T12:00:00Z", 2, "UTC")).toEqual([
      "2026-07-13T03:00",
      "2026-07-14T03:00",
    ]);
    expect(due("0 0 29 2 *", "2026-01-01T00:00:00Z", 2, "UTC")).toEqual([
      "2028-02-29T00:00",
      "2032-02-29T00:00",
    ]);
  });

  it("fires once for times that the clocks leave out, right after the change", () => {
    // Berlin, 29 March 2026: 01:59 is followed by 03:00, which is 01:00 UTC.
    expect(due("30 2 * * *", "2026-03-28T02:00:00Z", 2)).toEqual(["2026-03-29T01:00", "2026-03-30T00:30"]);
    expect(due("15,45 2 * * *", "2026-03-28T02:00:00Z", 2)).toEqual(["2026-03-29T01:00", "2026-03-30T00:15"]);
    expect(due("0 2,3 * * *", "2026-03-28T12:00:00Z", 2)).toEqual(["2026-03-29T01:00", "2026-03-30T00:00"]);
    expect(due("30 2 * * *", "2026-03-07T12:00:00Z", 2, "America/New_York")).toEqual([
      "2026-03-08T07:00",
      "2026-03-09T06:30",
    ]);
    // Half an hour is left out on Lord Howe Island, 4 October 2026: 01:59 is followed by 02:30.
    expect(due("15 2 * * *", "2026-10-03T00:00:00Z", 2, "Australia/Lord_Howe")).toEqual([
      "2026-10-03T15:30",
      "2026-10-04T15:15",
    ]);
  });

  it("fires once for times that come twice, the first time", () => {
    // Berlin, 25 October 2026: 02:59 is followed by 02:00.
    expect(due("30 2 * * *", "2026-10-24T12:00:00Z", 2)).toEqual(["2026-10-25T00:30", "2026-10-26T01:30"]);
    expect(due("30 1 * * *", "2026-10-31T12:00:00Z", 2, "America/New_York")).toEqual([
      "2026-11-01T05:30",
      "2026-11-02T06:30",
    ]);
  });

  it("counts hours that pass, where every hour is meant", () => {
    expect(due("0 * * * *", "2026-10-24T23:30:00Z", 4)).toEqual([
      "2026-10-25T00:00",
      "2026-10-25T01:00",
      "2026-10-25T02:00",
      "2026-10-25T03:00",
    ]);
    expect(due("*/30 * * * *", "2026-03-29T00:00:00Z", 3)).toEqual([
      "2026-03-29T00:30",
      "2026-03-29T01:00",
      "2026-03-29T01:30",
    ]);
  });

  it("never stands still, whatever the expression and the zone", () => {
    for (const zone of [BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]) {
      for (const cron of [
        "15,45 2 * * *",
        "0 0 * * *",
        "*/7 1-3 * * *",
        "59 23 31 * *",
        "0 2 * 3,10,11 SUN",
      ]) {
        let at = Date.UTC(2026, 0, 1);
        for (let n = 0; n < 60; n += 1) {
          const next = calendar.next(cron, zone, at) ?? Number.NaN;
          expect(next, `${cron} ${zone}`).toBeGreaterThan(at);
          at = next;
        }
      }
    }
  });

  it("says what is wrong", () => {
    expect(calendar.check("0 3 * * *", BERLIN)).toBeNull();
    expect(calendar.check("0 3 * * *", "Mars/Olympus")).toMatchObject({ field: "timezone" });
    expect(calendar.check("0 3 * * *", "+02:00")).toMatchObject({ field: "timezone" });
    expect(calendar.check("0 3 * *", BERLIN)?.message).toMatch(/five fields/);
    expect(calendar.check("* 0 3 * * *", BERLIN)?.message).toMatch(/five fields/);
    expect(calendar.check("61 3 * * *", BERLIN)?.message).toMatch(/minute/);
    expect(calendar.check("0 0 31 2 *", BERLIN)?.message).toMatch(/never comes/);
  });
});
