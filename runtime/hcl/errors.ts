// The error of text that is not HCL1; its message says where: `server.conf:3:14: …`.

export class HclError extends Error {
  readonly code = 'HCL_SYNTAX';
  readonly file: string;
  readonly line: number;
  readonly column: number;

  constructor({ file, line, column }: HclPosition, reason: string) {
    super(`${file}:${line}:${column}: ${reason}`);
    this.name = 'HclError';
    this.file = file;
    this.line = line;
    this.column = column;
  }
}

export interface HclPosition {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A text with its file's name, and offsets in it as lines and columns, which count from 1 as editors do. */
export class HclSource {
  readonly text: string;
  readonly #file: string;

  constructor(text: string, file: string) {
    this.text = text.replaceAll('\r\n', '\n');
    this.#file = file;
  }

  errorAt(offset: number, reason: string): HclError {
    const before = this.text.slice(0, offset).split('\n');
    const lastLine = before.at(-1) ?? '';
    return new HclError({ file: this.#file, line: before.length, column: Array.from(lastLine).length + 1 }, reason);
  }
}
