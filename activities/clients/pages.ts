// What a server tells page by page, from the first to the last.

/** `ask` gets the token of the page that is wanted: none, for the first. */
export async function* eachPage<P extends { readonly nextPageToken: string }>(
  ask: (pageToken: string) => Promise<P>,
): AsyncGenerator<P> {
  for (let pageToken = '', isFirst = true; isFirst || pageToken !== ''; isFirst = false) {
    const page = await ask(pageToken);
    yield page;
    pageToken = page.nextPageToken;
  }
}
