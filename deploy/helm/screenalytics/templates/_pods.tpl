{{/* What every pod of ours has: nothing of the cluster's, and nothing to write to but volumes. */}}

{{- define "screenalytics.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ default 65532 .uid }}
  runAsGroup: {{ default 65532 .uid }}
  fsGroup: {{ default 65532 .uid }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "screenalytics.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  privileged: false
  capabilities: {drop: [ALL]}
{{- end -}}

{{- define "screenalytics.spread" -}}
topologySpreadConstraints:
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "screenalytics.selector" $ | nindent 8 }}
{{- end }}
{{- end -}}

{{/* The environment name of a setting: `list "jobs" "max_attempts"`. */}}
{{- define "screenalytics.settingName" -}}
SCREENALYTICS_{{ index . 0 | upper }}__{{ index . 1 | upper }}
{{- end -}}

{{/* Settings from values, sorted by name: `{group: {field: value}}`. */}}
{{- define "screenalytics.settingsEnv" -}}
{{- range $group, $fields := . }}
{{- range $field, $value := $fields }}
- name: {{ include "screenalytics.settingName" (list $group $field) }}
  value: {{ (kindIs "string" $value | ternary $value (toJson $value)) | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "screenalytics.postgresEnv" -}}
- name: SCREENALYTICS_POSTGRES__DSN
  valueFrom:
    secretKeyRef:
      {{- if .Values.trial.postgres.enabled }}
      name: {{ include "screenalytics.fullname" . }}-trial-postgres
      key: dsn
      {{- else }}
      name: {{ .Values.postgres.existingSecret }}
      key: {{ .Values.postgres.key }}
      {{- end }}
{{- end -}}

{{/* For whoever connects. */}}
{{- define "screenalytics.postgresTlsEnv" -}}
{{- if .Values.postgres.caConfigMap }}
# Defaults of libpq: what the connection string says itself wins.
- name: PGSSLMODE
  value: verify-full
- name: PGSSLROOTCERT
  value: /postgres-ca/{{ .Values.postgres.caKey }}
{{- end }}
{{- end -}}

{{- define "screenalytics.postgresMount" -}}
{{- if .Values.postgres.caConfigMap }}
- name: postgres-ca
  mountPath: /postgres-ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "screenalytics.postgresVolume" -}}
{{- with .Values.postgres.caConfigMap }}
- name: postgres-ca
  configMap: {name: {{ . }}}
{{- end }}
{{- end -}}

{{/* How a role connects to NATS: `dict "root" $ "role" "orchestrator"`, or the stage of a worker. */}}
{{- define "screenalytics.natsEnv" -}}
{{- $role := .role -}}
{{- with .root -}}
- name: SCREENALYTICS_NATS__URL
  valueFrom:
    secretKeyRef:
      {{- if .Values.trial.nats.enabled }}
      name: {{ include "screenalytics.fullname" . }}-trial-nats
      key: url
      {{- else }}
      name: {{ .Values.nats.existingSecret }}
      key: {{ .Values.nats.key }}
      {{- end }}
{{- if .Values.nats.caConfigMap }}
- name: SCREENALYTICS_NATS__TLS_CA_FILE
  value: /nats-ca/{{ .Values.nats.caKey }}
{{- end }}
{{- if .Values.nats.clientTlsSecret }}
- name: SCREENALYTICS_NATS__TLS_CERT_FILE
  value: /nats-tls/tls.crt
- name: SCREENALYTICS_NATS__TLS_KEY_FILE
  value: /nats-tls/tls.key
{{- end }}
{{- with .Values.nats.rolesSecret }}
- name: SCREENALYTICS_NATS__USER
  value: {{ $role }}
- name: SCREENALYTICS_NATS__PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: {{ $role }}}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "screenalytics.natsMount" -}}
{{- if .Values.nats.caConfigMap }}
- name: nats-ca
  mountPath: /nats-ca
  readOnly: true
{{- end }}
{{- if .Values.nats.clientTlsSecret }}
- name: nats-tls
  mountPath: /nats-tls
  readOnly: true
{{- end }}
{{- end -}}

{{- define "screenalytics.natsVolume" -}}
{{- with .Values.nats.caConfigMap }}
- name: nats-ca
  configMap: {name: {{ . }}}
{{- end }}
{{- with .Values.nats.clientTlsSecret }}
- name: nats-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end -}}

{{- define "screenalytics.storeUrl" -}}
{{- .Values.trial.store.enabled | ternary "file:///store" .Values.store.url -}}
{{- end -}}

{{- define "screenalytics.storeEnv" -}}
- name: SCREENALYTICS_STORE__URL
  value: {{ include "screenalytics.storeUrl" . | quote }}
{{- with .Values.store.optionsSecret }}
- name: SCREENALYTICS_STORE__OPTIONS
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $.Values.store.optionsKey }}
{{- end }}
{{- end -}}

{{- define "screenalytics.modelsEnv" -}}
{{- if ne .Values.models.source "image" }}
- name: SCREENALYTICS_MODELS__DIR
  value: /models
{{- end }}
{{- end -}}

{{- define "screenalytics.logEnv" -}}
- name: SCREENALYTICS_LOG__FORMAT
  value: {{ .Values.log.format }}
{{- end -}}

{{- define "screenalytics.tracesEnv" -}}
{{- with .Values.traces }}
{{- if .endpoint }}
- name: SCREENALYTICS_TRACES__ENDPOINT
  value: {{ .endpoint | quote }}
- name: SCREENALYTICS_TRACES__SAMPLE_RATIO
  value: {{ .sampleRatio | quote }}
{{- if .headersSecret }}
- name: SCREENALYTICS_TRACES__HEADERS
  valueFrom:
    secretKeyRef:
      name: {{ .headersSecret }}
      key: {{ .headersKey }}
{{- end }}
{{- if .caConfigMap }}
- name: SCREENALYTICS_TRACES__CA_FILE
  value: /traces-ca/{{ .caKey }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "screenalytics.tracesMount" -}}
{{- if and .Values.traces.endpoint .Values.traces.caConfigMap }}
- name: traces-ca
  mountPath: /traces-ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "screenalytics.tracesVolume" -}}
{{- if and .Values.traces.endpoint .Values.traces.caConfigMap }}
- name: traces-ca
  configMap: {name: {{ .Values.traces.caConfigMap }}}
{{- end }}
{{- end -}}

{{- define "screenalytics.storeMount" -}}
{{- $url := include "screenalytics.storeUrl" . -}}
{{- if hasPrefix "file://" $url }}
- name: store
  mountPath: {{ trimPrefix "file://" $url }}
{{- end }}
{{- end -}}

{{- define "screenalytics.storeVolume" -}}
{{- if .Values.trial.store.enabled }}
- name: store
  persistentVolumeClaim: {claimName: {{ include "screenalytics.fullname" . }}-trial-store}
{{- else if hasPrefix "file://" .Values.store.url }}
- name: store
  persistentVolumeClaim: {claimName: {{ .Values.store.existingClaim }}}
{{- end }}
{{- end -}}

{{- define "screenalytics.modelsMount" -}}
{{- if ne .Values.models.source "image" }}
- name: models
  mountPath: /models
  readOnly: true
{{- end }}
{{- end -}}

{{- define "screenalytics.modelsVolume" -}}
{{- $models := .Values.models -}}
{{- if eq $models.source "pvc" }}
- name: models
  persistentVolumeClaim: {claimName: {{ $models.existingClaim }}, readOnly: true}
{{- else if eq $models.source "imageVolume" }}
- name: models
  image: {reference: {{ include "screenalytics.foreignImage" (dict "root" . "image" $models.imageReference) }}, pullPolicy: IfNotPresent}
{{- else if eq $models.source "store" }}
- name: models
  emptyDir: {sizeLimit: 2Gi}
{{- end }}
{{- end -}}

{{/* Fetches what the service needs before it starts: `dict "root" $ "service" "detector" "image" ...`. */}}
{{- define "screenalytics.fetchModels" -}}
{{- if eq .root.Values.models.source "store" }}
- name: fetch-{{ .service }}-models
  image: {{ .image }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  command: [python, -m, services.{{ .service }}.fetch_models]
  {{- with .root.Values.models.catalogSha256 }}
  args: [--catalog-sha256, {{ . | quote }}]
  {{- end }}
  env:
    {{- include "screenalytics.logEnv" .root | nindent 4 }}
    {{- include "screenalytics.storeEnv" .root | nindent 4 }}
    {{- include "screenalytics.modelsEnv" .root | nindent 4 }}
    {{- if eq .service "orchestrator" }}
    {{- include "screenalytics.postgresEnv" .root | nindent 4 }}
    {{- end }}
  {{- include "screenalytics.containerSecurity" . | nindent 2 }}
  resources:
    requests: {cpu: 100m, memory: 128Mi}
    limits: {cpu: "1", memory: 512Mi}
  volumeMounts:
    - {name: models, mountPath: /models}
    - {name: tmp, mountPath: /tmp}
    {{- include "screenalytics.storeMount" .root | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "screenalytics.checksums" -}}
{{- if .Values.trial.postgres.enabled }}
checksum/trial-postgres: {{ .Values.trial.postgres.password | sha256sum | quote }}
{{- end }}
{{- if .Values.trial.nats.enabled }}
checksum/trial-nats: {{ .Values.trial.nats.password | sha256sum | quote }}
{{- end }}
{{- if .Values.models.catalogSha256 }}
checksum/models-catalog: {{ .Values.models.catalogSha256 | quote }}
{{- end }}
{{- end -}}

{{- define "screenalytics.natsMonitoring" -}}
{{- if .Values.trial.nats.enabled -}}
{{ include "screenalytics.fullname" . }}-trial-nats.{{ .Release.Namespace }}.svc:8222
{{- else -}}
{{ .Values.nats.monitoringEndpoint }}
{{- end -}}
{{- end -}}

{{/* Brings the schema to this release's: a container of a Job, or the orchestrator's first. */}}
{{- define "screenalytics.migrateContainer" -}}
name: migrate
image: {{ include "screenalytics.image" (dict "root" . "target" "orchestrator") }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [python, -m, services.orchestrator.migrate]
env:
  {{- include "screenalytics.logEnv" . | nindent 2 }}
  {{- include "screenalytics.postgresEnv" . | nindent 2 }}
  {{- include "screenalytics.postgresTlsEnv" . | nindent 2 }}
  - name: SCREENALYTICS_STORE__URL
    value: {{ include "screenalytics.storeUrl" . | quote }}
{{ include "screenalytics.containerSecurity" . }}
resources:
  {{- toYaml .Values.migrations.resources | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- include "screenalytics.postgresMount" . | nindent 2 }}
{{- end -}}
