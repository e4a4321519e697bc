import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { midnight, utcDay, utcMonth } from "./calendar.ts";

const DAY = 86_400_000;

describe("calendar", () => {
  it("names a day, and where it begins and ends", () => {
    const now = Date.UTC(2026, 10, 21, 13, 14);
    const startsAt = Date.UTC(2026, 10, 21);
    expect(utcDay(now)).toEqual({ name: "2026-11-21", startsAt, endsAt: startsAt + DAY });
  });

  it.each([
    [Date.UTC(2026, 10, 21), "2026-11", Date.UTC(2026, 10, 1), Date.UTC(2026, 11, 1)],
    [Date.UTC(2026, 11, 31, 23, 59), "2026-12", Date.UTC(2026, 11, 1), Date.UTC(2027, 0, 1)],
    [Date.UTC(2028, 1, 29), "2028-02", Date.UTC(2028, 1, 1), Date.UTC(2028, 2, 1)],
    [Date.UTC(2000, 0, 1), "2000-01", Date.UTC(2000, 0, 1), Date.UTC(2000, 1, 1)],
  ])("names the month of %d", (now, name, startsAt, endsAt) => {
    expect(utcMonth(now)).toEqual({ name, startsAt, endsAt });
  });

  it("agrees with the system's calendar on every moment", () => {
    const moments = fc.date({
      min: new Date("1900-01-01"),
      max: new Date("2399-12-31"),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(moments, (date) => {
        const iso = date.toISOString();
        expect(utcDay(date.getTime()).name).toBe(iso.slice(0, 10));
        expect(midnight(date.getTime())).toBe(`${iso.slice(0, 10)}T00:00:00Z`);
        const month = utcMonth(date.getTime());
        expect(month.name).toBe(iso.slice(0, 7));
        expect(new Date(month.startsAt).toISOString()).toBe(`${iso.slice(0, 7)}-01T00:00:00.000Z`);
        expect(new Date(month.endsAt).getUTCDate()).toBe(1);
        expect(month.endsAt).toBeGreaterThan(date.getTime());
      }),
    );
  });
});
