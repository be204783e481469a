{{/* Names, labels and images. */}}

{{- define "screenalytics.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "screenalytics.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "screenalytics.name" . -}}
{{- (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Immutable once installed: nothing here may follow a version or a value that changes. */}}
{{- define "screenalytics.selector" -}}
app.kubernetes.io/name: {{ include "screenalytics.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "screenalytics.labels" -}}
{{ include "screenalytics.selector" . }}
app.kubernetes.io/part-of: screenalytics
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.additionalLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "screenalytics.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "screenalytics.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* An image of the project: `dict "root" $ "target" "detector"`. */}}
{{- define "screenalytics.image" -}}
{{- $image := .root.Values.image -}}
{{- $registry := default $image.registry .root.Values.global.imageRegistry -}}
{{- $digest := index $image.digests .target -}}
{{- with $registry }}{{ . }}/{{ end -}}
{{- printf "%s/%s" $image.repository .target -}}
{{- if $digest }}@{{ $digest }}{{ else }}:{{ default .root.Chart.AppVersion $image.tag }}{{ end -}}
{{- end -}}

{{/* Another's image, moved to the mirror where there is one: `dict "root" $ "image" "docker.io/library/nats:2"`. */}}
{{- define "screenalytics.foreignImage" -}}
{{- $mirror := .root.Values.global.imageRegistry -}}
{{- if $mirror -}}
{{- printf "%s/%s" $mirror (regexReplaceAll "^[^/]*[.:][^/]*/" .image "") -}}
{{- else -}}
{{- .image -}}
{{- end -}}
{{- end -}}

{{- define "screenalytics.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "screenalytics.tritonImage" -}}
{{- $triton := .Values.triton -}}
{{- with default $triton.registry .Values.global.imageRegistry }}{{ . }}/{{ end -}}
{{- $triton.repository -}}
{{- if $triton.digest }}@{{ $triton.digest }}{{ else }}:{{ $triton.tag }}{{ end -}}
{{- end -}}
