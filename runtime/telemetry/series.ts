// The three things that can be measured. A series is looked up once and then kept by whoever counts with it: nothing is looked up, hashed or
// allocated when something happens.

export interface Counter {
  add(amount?: number): void;
}

export interface Gauge {
  set(value: number): void;
}

export interface Sample {
  observe(value: number): void;
}

/** Only ever grows, from zero on: a rate needs the zero. */
export class CounterSeries implements Counter {
  value = 0;

  add(amount = 1): void {
    this.value += amount;
  }
}

/** The last value that was set; none before. */
export class GaugeSeries implements Gauge {
  value: number | undefined;

  set(value: number): void {
    this.value = value;
  }
}

/** How many of the latest values quantiles are made of, at most. */
const kept = 256;
/** Quantiles tell of this long, as those of SPIRE's. */
const windowMs = 10_000;
export const quantiles = [0.5, 0.9, 0.99] as const;

/** Number and sum of all values, and quantiles of the latest. */
export class SampleSeries implements Sample {
  readonly #now: () => number;
  readonly #values = new Float64Array(kept);
  readonly #times = new Float64Array(kept).fill(-Infinity);
  count = 0;
  sum = 0;

  /** `now` in ms, by a clock that nobody sets. */
  constructor(now: () => number) {
    this.#now = now;
  }

  observe(value: number): void {
    const slot = this.count % kept;
    this.#values[slot] = value;
    this.#times[slot] = this.#now();
    this.count += 1;
    this.sum += value;
  }

  /** In the order of `quantiles`; NaN where nothing happened lately. */
  latest(): number[] {
    const since = this.#now() - windowMs;
    const values = this.#values.filter((_, slot) => (this.#times[slot] ?? -Infinity) >= since).sort();
    return quantiles.map((quantile) => values[Math.max(0, Math.ceil(quantile * values.length) - 1)] ?? NaN);
  }
}
