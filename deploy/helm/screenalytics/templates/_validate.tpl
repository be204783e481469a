{{/* What a schema cannot say: each contradiction is a sentence that tells what to change. */}}

{{- define "screenalytics.validateWorker" -}}
{{- $worker := .worker -}}
{{- $path := printf "workers.%s" $worker.name -}}
{{- if and (eq $worker.provider "cpu") (not $worker.allowCpu) -}}
{{- fail (printf "%s asks for provider cpu. The CPU is a choice: set %s.allowCpu to true, or use provider cuda." $path $path) -}}
{{- end -}}
{{- if and (eq $worker.provider "cpu") $worker.gpuProfile -}}
{{- fail (printf "%s runs on the CPU and names the gpuProfile %s. Set its gpuProfile to \"\", or use provider cuda." $path $worker.gpuProfile) -}}
{{- end -}}
{{- if and $worker.needsGpu (not $worker.gpuProfile) -}}
{{- fail (printf "%s demands a GPU and names no gpuProfile: without one its pod gets no GPU and refuses to start. Name an entry of gpuProfiles." $path) -}}
{{- end -}}
{{- if and $worker.gpuProfile (not (hasKey .root.Values.gpuProfiles $worker.gpuProfile)) -}}
{{- fail (printf "%s names the gpuProfile %s, which is no entry of gpuProfiles (%s)." $path $worker.gpuProfile (keys .root.Values.gpuProfiles | sortAlpha | join ", ")) -}}
{{- end -}}
{{- if eq $worker.runtime "triton" -}}
{{- if not .root.Values.triton.enabled -}}
{{- fail (printf "%s has the runtime triton, and triton.enabled is false. Enable it, or use the runtime onnxruntime." $path) -}}
{{- end -}}
{{- if ne $worker.provider .root.Values.triton.provider -}}
{{- fail (printf "%s asks for provider %s of a Triton that runs on %s. Make them equal." $path $worker.provider .root.Values.triton.provider) -}}
{{- end -}}
{{- if $worker.gpuProfile -}}
{{- fail (printf "%s has the runtime triton and a gpuProfile of its own: the GPU is Triton's. Set its gpuProfile to \"\"." $path) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $worker.provider "cpu") $worker.allowCpuFallback -}}
{{- fail (printf "%s runs on the CPU, so allowCpuFallback means nothing. Set it to false." $path) -}}
{{- end -}}
{{- if $worker.isScaled -}}
{{- if le (int $worker.scaling.cooldownSeconds) (int $worker.coldStartSeconds) -}}
{{- fail (printf "%s.scaling.cooldownSeconds (%d) must be above coldStartSeconds (%d): else replicas go before they have worked." $path (int $worker.scaling.cooldownSeconds) (int $worker.coldStartSeconds)) -}}
{{- end -}}
{{- if gt (int $worker.scaling.minReplicas) (int $worker.scaling.maxReplicas) -}}
{{- fail (printf "%s.scaling.minReplicas is above maxReplicas." $path) -}}
{{- end -}}
{{- if gt (int $worker.scaling.fallbackReplicas) (int $worker.scaling.maxReplicas) -}}
{{- fail (printf "%s.scaling.fallbackReplicas is above maxReplicas." $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "screenalytics.validateServers" -}}
{{- if not (or .Values.postgres.existingSecret .Values.trial.postgres.enabled) -}}
{{- fail "postgres.existingSecret is empty. Name the Secret that holds the connection string, or set trial.postgres.enabled to try the chart out." -}}
{{- end -}}
{{- if and .Values.postgres.existingSecret .Values.trial.postgres.enabled -}}
{{- fail "Both postgres.existingSecret and trial.postgres.enabled are set. Choose one." -}}
{{- end -}}
{{- if not (or .Values.nats.existingSecret .Values.trial.nats.enabled) -}}
{{- fail "nats.existingSecret is empty. Name the Secret that holds the URL, or set trial.nats.enabled to try the chart out." -}}
{{- end -}}
{{- if and .Values.nats.existingSecret .Values.trial.nats.enabled -}}
{{- fail "Both nats.existingSecret and trial.nats.enabled are set. Choose one." -}}
{{- end -}}
{{- range $part := list "postgres" "nats" -}}
{{- $trial := index $.Values.trial $part -}}
{{- if and $trial.enabled (not $trial.password) -}}
{{- fail (printf "trial.%s.enabled needs trial.%s.password." $part $part) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.trial.postgres.enabled (eq .Values.migrations.mode "hook") -}}
{{- fail "The trial Postgres is part of this release, so a hook before the install cannot reach it. Set migrations.mode to job or initContainer." -}}
{{- end -}}
{{- if and .Values.keda.enabled (not .Values.trial.nats.enabled) (not .Values.nats.monitoringEndpoint) -}}
{{- fail "keda.enabled needs nats.monitoringEndpoint (host:port of NATS' monitoring): KEDA reads the lag there." -}}
{{- end -}}
{{- end -}}

{{- define "screenalytics.validateStore" -}}
{{- if not (or .Values.store.url .Values.trial.store.enabled) -}}
{{- fail "store.url is empty. Name the object store, or set trial.store.enabled to try the chart out." -}}
{{- end -}}
{{- if and .Values.store.url .Values.trial.store.enabled -}}
{{- fail "Both store.url and trial.store.enabled are set. Choose one." -}}
{{- end -}}
{{- if and (hasPrefix "file://" .Values.store.url) (not .Values.store.existingClaim) -}}
{{- fail "store.url is a folder: name the claim that holds it in store.existingClaim." -}}
{{- end -}}
{{- if and .Values.store.existingClaim (not (hasPrefix "file://" .Values.store.url)) -}}
{{- fail "store.existingClaim is for a store.url of file:///dir." -}}
{{- end -}}
{{- end -}}

{{- define "screenalytics.validateModels" -}}
{{- $models := .Values.models -}}
{{- if and (eq $models.source "pvc") (not $models.existingClaim) -}}
{{- fail "models.source pvc needs models.existingClaim." -}}
{{- end -}}
{{- if and (eq $models.source "imageVolume") (not $models.imageReference) -}}
{{- fail "models.source imageVolume needs models.imageReference, with a digest." -}}
{{- end -}}
{{- if and (eq $models.source "imageVolume") (semverCompare "<1.33.0-0" .Capabilities.KubeVersion.Version) -}}
{{- fail (printf "models.source imageVolume needs Kubernetes 1.33; this is %s. Use pvc or store." .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- if and $models.fill.enabled (ne $models.source "store") -}}
{{- fail "models.fill.enabled fills the object store: set models.source to store." -}}
{{- end -}}
{{- if and $models.fill.enabled (not $models.fill.existingClaim) -}}
{{- fail "models.fill.enabled needs models.fill.existingClaim, the claim with the models' folder." -}}
{{- end -}}
{{- end -}}

{{- define "screenalytics.validateTriton" -}}
{{- $triton := .Values.triton -}}
{{- if $triton.enabled -}}
{{- if not (or $triton.tag $triton.digest) -}}
{{- fail "triton.enabled needs triton.digest or triton.tag: its release must fit your driver." -}}
{{- end -}}
{{- if and (eq $triton.provider "cuda") (not $triton.gpuProfile) -}}
{{- fail "triton demands a GPU and names no gpuProfile. Name an entry of gpuProfiles, or use provider cpu." -}}
{{- end -}}
{{- if and $triton.gpuProfile (not (hasKey .Values.gpuProfiles $triton.gpuProfile)) -}}
{{- fail (printf "triton names the gpuProfile %s, which is no entry of gpuProfiles." $triton.gpuProfile) -}}
{{- end -}}
{{- if and (eq $triton.provider "cpu") (not $triton.allowCpu) -}}
{{- fail "triton asks for provider cpu. The CPU is a choice: set triton.allowCpu to true, or use provider cuda." -}}
{{- end -}}
{{- if and (eq $triton.provider "cpu") $triton.gpuProfile -}}
{{- fail "triton runs on the CPU and names a gpuProfile. Set triton.gpuProfile to \"\", or use provider cuda." -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "screenalytics.validateCluster" -}}
{{- $needs := list
  (dict "path" "keda.enabled" "wanted" .Values.keda.enabled "api" "keda.sh/v1alpha1" "of" "KEDA")
  (dict "path" "monitoring.podMonitor.enabled" "wanted" .Values.monitoring.podMonitor.enabled "api" "monitoring.coreos.com/v1" "of" "the Prometheus operator")
  (dict "path" "monitoring.prometheusRule.enabled" "wanted" .Values.monitoring.prometheusRule.enabled "api" "monitoring.coreos.com/v1" "of" "the Prometheus operator")
  (dict "path" "gateway.enabled" "wanted" .Values.gateway.enabled "api" "gateway.networking.k8s.io/v1" "of" "Gateway API")
  (dict "path" "gateway.grpc.enabled" "wanted" .Values.gateway.grpc.enabled "api" "gateway.networking.k8s.io/v1/GRPCRoute" "of" "Gateway API, 1.1 or later")
  (dict "path" "gateway.enabled, with orchestrator.tls," "wanted" (and .Values.gateway.enabled .Values.orchestrator.tls.existingSecret) "api" "gateway.networking.k8s.io/v1/BackendTLSPolicy" "of" "Gateway API, 1.4 or later") -}}
{{- range $needs -}}
{{- if and .wanted (not ($.Capabilities.APIVersions.Has .api)) -}}
{{- fail (printf "%s is true, and this cluster does not know %s: install the CRDs of %s first, or set it to false." .path .api .of) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.enabled needs ingress.host." -}}
{{- end -}}
{{- if and .Values.gateway.enabled (not .Values.gateway.parentRefs) -}}
{{- fail "gateway.enabled needs gateway.parentRefs." -}}
{{- end -}}
{{- include "screenalytics.validateGrpcRoute" . -}}
{{- include "screenalytics.validateApiTls" . -}}
{{- include "screenalytics.validatePolicies" . -}}
{{- end -}}

{{- define "screenalytics.validateGrpcRoute" -}}
{{- $gateway := .Values.gateway -}}
{{- if $gateway.grpc.enabled -}}
{{- if not $gateway.enabled -}}
{{- fail "gateway.grpc.enabled adds to what gateway.enabled makes: set that to true as well." -}}
{{- end -}}
{{- if not $gateway.grpc.parentRefs -}}
{{- if not (and $gateway.hostnames $gateway.grpc.hostnames) -}}
{{- fail "A listener accepts no host name for HTTP and gRPC both: name hosts in gateway.hostnames and others in gateway.grpc.hostnames, or another listener in gateway.grpc.parentRefs." -}}
{{- end -}}
{{- range $gateway.grpc.hostnames -}}
{{- if has . $gateway.hostnames -}}
{{- fail (printf "%s stands in gateway.hostnames and in gateway.grpc.hostnames: a listener accepts it for one of them alone." .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "screenalytics.validateApiTls" -}}
{{- $tls := .Values.orchestrator.tls -}}
{{- if and (not $tls.existingSecret) (or $tls.serverName $tls.caConfigMap $tls.grpcClientCaConfigMap) -}}
{{- fail "orchestrator.tls says how its certificate is checked and names none: set orchestrator.tls.existingSecret." -}}
{{- end -}}
{{- $ofWorkers := .Values.workerTls -}}
{{- if and (not $ofWorkers.existingSecret) (or $ofWorkers.serverName $ofWorkers.caConfigMap) -}}
{{- fail "workerTls says how its certificate is checked and names none: set workerTls.existingSecret." -}}
{{- end -}}
{{- if and $tls.existingSecret (eq $tls.existingSecret $ofWorkers.existingSecret) -}}
{{- fail "orchestrator.tls and workerTls name one Secret: every worker could pass for the API. Give workers a certificate of their own." -}}
{{- end -}}
{{- if eq (int .Values.orchestrator.service.port) (int .Values.orchestrator.service.grpcPort) -}}
{{- fail "orchestrator.service.port and grpcPort are equal: a Service needs two ports." -}}
{{- end -}}
{{- if and $tls.caConfigMap .Values.gateway.enabled (ne $tls.caKey "ca.crt") -}}
{{- fail "A Gateway reads the authority of the API's certificate from the key ca.crt: set orchestrator.tls.caKey to ca.crt." -}}
{{- end -}}
{{- if and .Values.gateway.grpc.enabled $tls.grpcClientCaConfigMap -}}
{{- fail "gateway.grpc.enabled would be kept out by orchestrator.tls.grpcClientCaConfigMap: a GRPCRoute presents no certificate." -}}
{{- end -}}
{{- end -}}

{{/* What a default deny would cut off in silence. */}}
{{- define "screenalytics.validatePolicies" -}}
{{- if .Values.networkPolicy.enabled -}}
{{- include "screenalytics.validateEgress" . -}}
{{- if and (or .Values.ingress.enabled .Values.gateway.enabled) (not .Values.networkPolicy.apiFrom) -}}
{{- fail "The network policies would keep the ingress out: name its pods in networkPolicy.apiFrom." -}}
{{- end -}}
{{- if and .Values.monitoring.podMonitor.enabled (not .Values.networkPolicy.metricsFrom) -}}
{{- fail "The network policies would keep Prometheus out: name its pods in networkPolicy.metricsFrom." -}}
{{- end -}}
{{- if and .Values.keda.enabled .Values.trial.nats.enabled (not .Values.networkPolicy.kedaFrom) -}}
{{- fail "The network policies would keep KEDA out of the trial NATS: name its pods in networkPolicy.kedaFrom." -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "screenalytics.validateEgress" -}}
{{- $policy := .Values.networkPolicy -}}
{{- with .Values.traces.endpoint -}}
{{- $port := regexFind "[0-9]+$" . -}}
{{- if not (has $port (toStrings $policy.otlp.ports)) -}}
{{- fail (printf "The network policies would cut off %s: add %s to networkPolicy.otlp.ports." . $port) -}}
{{- end -}}
{{- end -}}
{{- $settings := .Values.orchestrator.settings -}}
{{- range dig "outbound" "ports" list $settings -}}
{{- if not (has (toString .) (toStrings $policy.outbound.ports)) -}}
{{- fail (printf "The network policies would cut off port %v of orchestrator.settings.outbound.ports: add it to networkPolicy.outbound.ports." .) -}}
{{- end -}}
{{- end -}}
{{- if and (dig "oidc" "jwks_url" "" $settings) (not $policy.outbound.ports) -}}
{{- fail "The network policies would cut off the issuer of orchestrator.settings.oidc.jwks_url: add its port to networkPolicy.outbound.ports." -}}
{{- end -}}
{{- end -}}
