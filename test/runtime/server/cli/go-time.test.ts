import { describe, expect, test } from 'vitest';
import { checkGoTime } from '../../../../runtime/server/cli/agent/go-time.ts';

describe('a time on the command line', () => {
  test.each(['2023-11-14 22:13:20 +0000 +00', '2024-02-29 00:00:59 -0730 -07', '2023-12-31 23:59:00.5 +0100 +01'])(
    '%s is one',
    (text) => {
      expect(() => checkGoTime(text)).not.toThrow();
    },
  );

  test.each([
    ['tomorrow', ' as "2006-01-02 15:04:05 -0700 -07": cannot parse "tomorrow" as "2006"'],
    ['2023/11/14', ' as "2006-01-02 15:04:05 -0700 -07": cannot parse "/11/14" as "-"'],
    ['2023-11-14', ' as "2006-01-02 15:04:05 -0700 -07": cannot parse "" as " "'],
    ['2023-11-14 22:13:20', ' as "2006-01-02 15:04:05 -0700 -07": cannot parse "" as " "'],
    ['2023-11-14 22:13:20 +00', ' as "2006-01-02 15:04:05 -0700 -07": cannot parse "+00" as "-0700"'],
    ['2023-11-14 22:13:20 +0000 UTC', ' as "2006-01-02 15:04:05 -0700 -07": cannot parse "UTC" as "-07"'],
    ['2023-13-14 22:13:20 +0000 +00', ': month out of range'],
    ['2023-00-14 22:13:20 +0000 +00', ': month out of range'],
    ['2023-02-29 22:13:20 +0000 +00', ': day out of range'],
    ['2023-01-00 22:13:20 +0000 +00', ': day out of range'],
    ['2023-01-01 24:13:20 +0000 +00', ': hour out of range'],
    ['2023-01-01 23:60:20 +0000 +00', ': minute out of range'],
    ['2023-01-01 23:59:60 +0000 +00', ': second out of range'],
    ['2023-11-14 22:13:20 +0000 +0000', ': extra text: "00"'],
  ])('%s is none', (text, reason) => {
    expect(() => checkGoTime(text)).toThrow(new Error(`parsing time ${JSON.stringify(text)}${reason}`));
  });
});
