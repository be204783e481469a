{{/* Who talks to whom, by component: the drawing of docs/architecture.md as rules. */}}

{{- define "screenalytics.dnsRule" -}}
to:
  {{- toYaml .to | nindent 2 }}
ports:
{{- range .ports }}
  - {protocol: UDP, port: {{ . }}}
  - {protocol: TCP, port: {{ . }}}
{{- end }}
{{- end -}}

{{/* `dict "peers" LIST "ports" LIST "way" "to"`; no peers is anywhere. */}}
{{- define "screenalytics.rule" -}}
{{- with .peers }}
{{ $.way }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
{{- range .ports }}
  - {protocol: TCP, port: {{ . }}}
{{- end }}
{{- end -}}

{{- define "screenalytics.peer" -}}
podSelector:
  matchLabels:
    {{- include "screenalytics.selector" . | nindent 4 }}
{{- end -}}

{{- define "screenalytics.serverRule" -}}
{{- $trial := index .root.Values.trial .server -}}
{{- $given := index .root.Values.networkPolicy .server -}}
{{- if $trial.enabled -}}
{{- $peer := include "screenalytics.peer" (dict "root" .root "component" (printf "trial-%s" .server)) | fromYaml -}}
{{- include "screenalytics.rule" (dict "way" "to" "peers" (list $peer) "ports" (list .port)) -}}
{{- else -}}
{{- include "screenalytics.rule" (dict "way" "to" "peers" $given.to "ports" $given.ports) -}}
{{- end -}}
{{- end -}}

{{/* Rules of every component as YAML: `{component: {ingress: [...], egress: [...]}}`. */}}
{{- define "screenalytics.networkRules" -}}
{{- $policy := .Values.networkPolicy -}}
{{- $postgres := include "screenalytics.serverRule" (dict "root" . "server" "postgres" "port" 5432) | fromYaml -}}
{{- $nats := include "screenalytics.serverRule" (dict "root" . "server" "nats" "port" 4222) | fromYaml -}}
{{- $store := list -}}
{{- if not (hasPrefix "file://" (include "screenalytics.storeUrl" .)) -}}
{{- $store = list (include "screenalytics.rule" (dict "way" "to" "peers" $policy.store.to "ports" $policy.store.ports) | fromYaml) -}}
{{- end -}}
{{- $traces := list -}}
{{- if .Values.traces.endpoint -}}
{{- $traces = list (include "screenalytics.rule" (dict "way" "to" "peers" $policy.otlp.to "ports" $policy.otlp.ports) | fromYaml) -}}
{{- end -}}
{{- $orchestrator := include "screenalytics.peer" (dict "root" . "component" "orchestrator") | fromYaml -}}
{{- $migrations := include "screenalytics.peer" (dict "root" . "component" "migrations") | fromYaml -}}
{{- $test := include "screenalytics.peer" (dict "root" . "component" "test") | fromYaml -}}
{{- $workers := dict "podSelector" (dict "matchLabels" (dict "app.kubernetes.io/instance" .Release.Name "screenalytics-role" "worker")) -}}
{{- $served := dict "podSelector" (dict "matchLabels" (dict "app.kubernetes.io/instance" .Release.Name "screenalytics-runtime" "triton")) -}}
{{- $triton := include "screenalytics.peer" (dict "root" . "component" "triton") | fromYaml -}}

{{- $api := include "screenalytics.rule" (dict "way" "from" "peers" (concat (list $test) $policy.apiFrom $policy.metricsFrom) "ports" (list 8080)) | fromYaml -}}
{{- $calls := list $api -}}
{{- with $policy.apiFrom -}}
{{- $calls = append $calls (include "screenalytics.rule" (dict "way" "from" "peers" . "ports" (list 9090)) | fromYaml) -}}
{{- end -}}
{{- $rules := dict "orchestrator" (dict "ingress" $calls "egress" (concat (list $postgres $nats) $store $traces)) -}}

{{- range $name, $_ := .Values.workers -}}
{{- $worker := include "screenalytics.worker" (dict "root" $ "name" $name) | fromJson -}}
{{- $ingress := list -}}
{{- with $policy.metricsFrom -}}
{{- $ingress = list (include "screenalytics.rule" (dict "way" "from" "peers" . "ports" (list 9100)) | fromYaml) -}}
{{- end -}}
{{- $egress := concat (list $nats) $store $traces -}}
{{- if eq $worker.runtime "triton" -}}
{{- $egress = append $egress (include "screenalytics.rule" (dict "way" "to" "peers" (list $triton) "ports" (list 8001)) | fromYaml) -}}
{{- end -}}
{{- $_ := set $rules (printf "worker-%s" $name) (dict "ingress" $ingress "egress" $egress) -}}
{{- end -}}

{{- if ne .Values.migrations.mode "initContainer" -}}
{{- $_ := set $rules "migrations" (dict "ingress" list "egress" (list $postgres)) -}}
{{- end -}}
{{- if .Values.models.fill.enabled -}}
{{- $_ := set $rules "models-fill" (dict "ingress" list "egress" $store) -}}
{{- end -}}
{{- if .Values.triton.enabled -}}
{{- $ingress := list (include "screenalytics.rule" (dict "way" "from" "peers" (list $served) "ports" (list 8001)) | fromYaml) -}}
{{- with $policy.metricsFrom -}}
{{- $ingress = append $ingress (include "screenalytics.rule" (dict "way" "from" "peers" . "ports" (list 8002)) | fromYaml) -}}
{{- end -}}
{{- $_ := set $rules "triton" (dict "ingress" $ingress "egress" (eq .Values.models.source "store" | ternary $store list)) -}}
{{- end -}}
{{- if .Values.trial.postgres.enabled -}}
{{- $from := include "screenalytics.rule" (dict "way" "from" "peers" (list $orchestrator $migrations) "ports" (list 5432)) | fromYaml -}}
{{- $_ := set $rules "trial-postgres" (dict "ingress" (list $from) "egress" list) -}}
{{- end -}}
{{- if .Values.trial.nats.enabled -}}
{{- $ingress := list (include "screenalytics.rule" (dict "way" "from" "peers" (list $orchestrator $workers) "ports" (list 4222)) | fromYaml) -}}
{{- with $policy.kedaFrom -}}
{{- $ingress = append $ingress (include "screenalytics.rule" (dict "way" "from" "peers" . "ports" (list 8222)) | fromYaml) -}}
{{- end -}}
{{- $_ := set $rules "trial-nats" (dict "ingress" $ingress "egress" list) -}}
{{- end -}}
{{- $ask := include "screenalytics.rule" (dict "way" "to" "peers" (list $orchestrator) "ports" (list 8080)) | fromYaml -}}
{{- $_ := set $rules "test" (dict "ingress" list "egress" (list $ask)) -}}
{{- toYaml $rules -}}
{{- end -}}
