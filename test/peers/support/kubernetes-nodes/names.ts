// What the names of a cluster's Services lead to: lines of /etc/hosts in place of the cluster's DNS, and routes of a relay in place of kube-proxy, both from the
// real EndpointSlices.
import type { EndpointSlice, Service } from './objects.ts';
import type { Route } from './relay.ts';

export interface Services {
  readonly services: readonly Service[];
  readonly slices: readonly EndpointSlice[];
}

const isHeadless = ({ spec }: Service): boolean => spec.clusterIP === 'None';
const isOf = ({ metadata }: Service, slice: EndpointSlice): boolean =>
  slice.metadata.namespace === metadata.namespace &&
  slice.metadata.labels?.['kubernetes.io/service-name'] === metadata.name;
const readyOf = ({ endpoints }: EndpointSlice) =>
  (endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false);

/** As a pod of that namespace sees them. */
export function hostLines({ services, slices }: Services, namespace: string): string[] {
  return services.flatMap((service) => {
    const { name, namespace: of } = service.metadata;
    const names = (prefix: string) =>
      [...(of === namespace ? [''] : []), `.${of}`, `.${of}.svc`, `.${of}.svc.cluster.local`]
        .map((suffix) => `${prefix}${name}${suffix}`)
        .join(' ');
    const ready = slices.filter((slice) => isOf(service, slice)).flatMap(readyOf);
    const ofPods = ready.flatMap(({ hostname, addresses }) =>
      hostname === undefined ? [] : addresses.map((address) => `${address} ${names(`${hostname}.`)}`),
    );
    const own = isHeadless(service) ? ready.flatMap(({ addresses }) => addresses) : [service.spec.clusterIP ?? ''];
    return [...own.filter((address) => address !== '').map((address) => `${address} ${names('')}`), ...ofPods];
  });
}

/** Of Services with an address of their own, by TCP. */
export function serviceRoutes({ services, slices }: Services): Route[] {
  return services.flatMap((service) =>
    isHeadless(service)
      ? []
      : (service.spec.ports ?? []).map(({ name, port }) => ({
          listen: `${service.spec.clusterIP ?? ''}:${port}`,
          targets: targetsOf(service, name, slices),
        })),
  );
}

/** On a node, at its own address. */
export function nodePortRoutes({ services, slices }: Services, address: string): Route[] {
  return services.flatMap((service) =>
    (service.spec.ports ?? []).flatMap(({ name, nodePort }) =>
      nodePort === undefined ? [] : [{ listen: `${address}:${nodePort}`, targets: targetsOf(service, name, slices) }],
    ),
  );
}

function targetsOf(service: Service, portName = '', slices: readonly EndpointSlice[]): string[] {
  return slices
    .filter((slice) => isOf(service, slice))
    .flatMap((slice) => {
      const port = slice.ports?.find(({ name = '' }) => name === portName)?.port;
      return port === undefined
        ? []
        : readyOf(slice).flatMap(({ addresses }) => addresses.map((one) => `${one}:${port}`));
    });
}
