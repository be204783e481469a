{{/* TLS of our own listeners: what serves it, and what those who call inside of the cluster check. `.Values.orchestrator.tls`
is of the API, `.Values.workerTls` of what probes and Prometheus ask of workers. */}}

{{/* Of `tls`. */}}
{{- define "screenalytics.scheme" -}}
{{- .existingSecret | empty | ternary "http" "https" -}}
{{- end -}}

{{- define "screenalytics.apiScheme" -}}
{{- include "screenalytics.scheme" .Values.orchestrator.tls -}}
{{- end -}}

{{/* A name in the certificate. */}}
{{- define "screenalytics.apiServerName" -}}
{{- default (printf "%s-orchestrator.%s.svc" (include "screenalytics.fullname" .) .Release.Namespace) .Values.orchestrator.tls.serverName -}}
{{- end -}}

{{- define "screenalytics.workerServerName" -}}
{{- default (printf "%s-workers.%s.svc" (include "screenalytics.fullname" .) .Release.Namespace) .Values.workerTls.serverName -}}
{{- end -}}

{{/* `dict "tls" TLS "groups" (list "http")`. */}}
{{- define "screenalytics.tlsEnv" -}}
{{- if .tls.existingSecret }}
{{- range $group := .groups }}
- name: {{ include "screenalytics.settingName" (list $group "tls_cert_file") }}
  value: /listener-tls/tls.crt
- name: {{ include "screenalytics.settingName" (list $group "tls_key_file") }}
  value: /listener-tls/tls.key
{{- end }}
{{- end }}
{{- if .tls.grpcClientCaConfigMap }}
- name: SCREENALYTICS_GRPC__TLS_CLIENT_CA_FILE
  value: /client-ca/ca.crt
{{- end }}
{{- end -}}

{{- define "screenalytics.tlsMount" -}}
{{- if .existingSecret }}
- name: listener-tls
  mountPath: /listener-tls
  readOnly: true
{{- end }}
{{- if .grpcClientCaConfigMap }}
- name: client-ca
  mountPath: /client-ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "screenalytics.tlsVolume" -}}
{{- with .existingSecret }}
- name: listener-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .grpcClientCaConfigMap }}
- name: client-ca
  configMap: {name: {{ . }}}
{{- end }}
{{- end -}}

{{/* How a PodMonitor scrapes a listener: `dict "tls" TLS "serverName" NAME`. */}}
{{- define "screenalytics.scrapeTls" -}}
{{- if .tls.existingSecret }}
scheme: https
tlsConfig:
  serverName: {{ .serverName }}
  {{- with .tls.caConfigMap }}
  ca:
    configMap: {name: {{ . }}, key: {{ $.tls.caKey }}}
  {{- end }}
{{- end }}
{{- end -}}
