// How far the lab is to keep its instances apart: they share this machine's network, or have one of their own, which takes root.
export const isolations = ['none', 'namespaces'] as const;
export type LabIsolation = (typeof isolations)[number];
