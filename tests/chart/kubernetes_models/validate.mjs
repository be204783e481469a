// Custom resources as JSON on stdin; what is wrong with each as JSON on stdout, null where nothing is.
import { readFileSync } from "node:fs";

const packages = {
  "gateway.networking.k8s.io/v1": "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1",
  "keda.sh/v1alpha1": "@kubernetes-models/keda/keda.sh/v1alpha1",
  "monitoring.coreos.com/v1": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
};

async function fault(resource) {
  try {
    const models = await import(packages[resource.apiVersion]);
    new models[resource.kind](resource).validate();
    return null;
  } catch (error) {
    return `${resource.kind} ${resource.metadata.name}: ${error.message}`;
  }
}

console.log(JSON.stringify(await Promise.all(JSON.parse(readFileSync(0, "utf8")).map(fault))));
