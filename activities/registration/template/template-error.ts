// A template that cannot be read, or not be filled in for one object.
export class TemplateError extends Error {
  constructor(template: string, reason: string, options?: ErrorOptions) {
    super(`template ${JSON.stringify(template)}: ${reason}`, options);
    this.name = 'TemplateError';
  }
}
