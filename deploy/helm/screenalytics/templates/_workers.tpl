{{/* The worker map: what each entry is once the defaults stand under it, and what follows from all of them. */}}

{{- define "screenalytics.stages" -}}
detector: detect_track
embedder: faces_embed
clusterer: cluster
{{- end -}}

{{/* One worker as JSON, with its defaults, its stage and its consumer: `dict "root" $ "name" "detector"`. */}}
{{- define "screenalytics.worker" -}}
{{- $own := index .root.Values.workers .name -}}
{{- $worker := mergeOverwrite (deepCopy .root.Values.workerDefaults) (deepCopy $own) -}}
{{- $stage := index (include "screenalytics.stages" . | fromYaml) $worker.service -}}
{{- $_ := set $worker "name" .name -}}
{{- $_ := set $worker "stage" $stage -}}
{{- $_ := set $worker "consumer" (printf "%s-%s" $stage $worker.provider) -}}
{{- $_ := set $worker "isScaled" (and .root.Values.keda.enabled $worker.scaling.enabled) -}}
{{- $_ := set $worker "needsGpu" (and (eq $worker.provider "cuda") (eq $worker.runtime "onnxruntime")) -}}
{{- $_ := set $worker "target" (ternary $worker.service "cpu" $worker.needsGpu) -}}
{{- include "screenalytics.validateWorker" (dict "root" .root "worker" $worker) -}}
{{- toJson $worker -}}
{{- end -}}

{{/* `stage/provider` of every worker, once each and in order, as JSON: the routes that exist while no worker lives. */}}
{{- define "screenalytics.routes" -}}
{{- $routes := dict -}}
{{- range $name, $_ := .Values.workers -}}
{{- $worker := include "screenalytics.worker" (dict "root" $ "name" $name) | fromJson -}}
{{- $_ := set $routes (printf "%s/%s" $worker.stage $worker.provider) true -}}
{{- end -}}
{{- keys $routes | sortAlpha | toJson -}}
{{- end -}}

{{/* The device that `helm test` asks for: the GPU, where every stage has one. */}}
{{- define "screenalytics.testDevice" -}}
{{- $routes := include "screenalytics.routes" . | fromJsonArray -}}
{{- $device := "cuda" -}}
{{- range $stage := list "detect_track" "faces_embed" "cluster" -}}
{{- if not (has (printf "%s/cuda" $stage) $routes) -}}{{- $device = "cpu" -}}{{- end -}}
{{- end -}}
{{- $device -}}
{{- end -}}

{{/* Where a pod may land: `dict "root" $ "pod" (nodeSelector, tolerations ...) "profile" NAME`. */}}
{{- define "screenalytics.placement" -}}
{{- $profile := dict -}}
{{- if .profile -}}{{- $profile = index .root.Values.gpuProfiles .profile -}}{{- end -}}
{{- with $profile.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .pod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with merge (dict) (default dict .pod.nodeSelector) (default dict $profile.nodeSelector) }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat (default list $profile.tolerations) (default list .pod.tolerations) }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A container's resources with the limits of a GPU profile: `dict "root" $ "resources" ... "profile" NAME`. */}}
{{- define "screenalytics.resources" -}}
{{- $resources := deepCopy .resources -}}
{{- if .profile -}}
{{- $limits := mergeOverwrite (dict) $resources.limits (index .root.Values.gpuProfiles .profile).limits -}}
{{- $_ := set $resources "limits" $limits -}}
{{- end -}}
resources:
  {{- toYaml $resources | nindent 2 }}
{{- end -}}
