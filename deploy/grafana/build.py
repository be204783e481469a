"""Makes Grafana's JSON of each dashboard, in the chart: `python -m deploy.grafana.build [--check]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueColorMode, LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from deploy.grafana.dashboards import DASHBOARDS
from deploy.grafana.panels import DashboardSpec, PanelSpec

FOLDER = Path(__file__).resolve().parents[1] / "helm" / "screenalytics" / "dashboards"
_SOURCE = DataSourceRef(type_val="prometheus", uid="$datasource")
_COLUMNS, _ROW_HEIGHT = 24, 8


def _one_value() -> stat.Panel:
    latest = common.ReduceDataOptions().calcs(["lastNotNull"])
    return stat.Panel().color_mode(BigValueColorMode.VALUE).reduce_options(latest)


def _over_time() -> timeseries.Panel:
    legend = common.VizLegendOptions().show_legend(True)
    legend = legend.display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    return timeseries.Panel().legend(legend)


def panel(spec: PanelSpec, *, span: int) -> stat.Panel | timeseries.Panel:
    made = _one_value() if spec.is_stat else _over_time()
    made = made.title(spec.title).description(spec.description).unit(spec.unit).datasource(_SOURCE)
    for number, (expression, legend) in enumerate(spec.queries):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + number))
        made = made.with_target(query)
    return made.height(_ROW_HEIGHT // 2 if spec.is_stat else _ROW_HEIGHT).span(span)


def built(spec: DashboardSpec) -> str:
    source = dashboard.DatasourceVariable("datasource").type("prometheus").label("Data source")
    namespace = (
        dashboard.QueryVariable("namespace")
        .datasource(_SOURCE)
        .query("label_values(screenalytics_outbox_rows, namespace)")
        .label("Namespace")
        .include_all(True)
        .multi(True)
    )
    made = (
        dashboard.Dashboard(spec.title)
        .uid(f"screenalytics-{spec.uid}")
        .description(spec.description)
        .tags(["screenalytics"])
        .readonly()
        .refresh("30s")
        .time("now-6h", "now")
        .with_variable(source)
        .with_variable(namespace)
        .link(
            dashboard.DashboardLink("Screenalytics").tags(["screenalytics"]).as_dropdown(True).keep_time(True)
        )
    )
    for number in spec.numbers:
        box = dashboard.TextBoxVariable(number.name).label(number.label).default_value(number.default)
        made = made.with_variable(box)
    stats = sum(one.is_stat for one in spec.panels)
    for one in spec.panels:
        span = _COLUMNS // stats if one.is_stat else _COLUMNS if one.wide else _COLUMNS // 2
        made = made.with_panel(panel(one, span=span))
    return json.dumps(made.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def main() -> int:
    made = {FOLDER / f"{spec.uid}.json": built(spec) for spec in DASHBOARDS}
    if "--check" not in sys.argv:
        FOLDER.mkdir(exist_ok=True)
        for path, text in made.items():
            path.write_text(text, "utf-8")
        return 0
    stale = [path.name for path, text in made.items() if not path.is_file() or path.read_text("utf-8") != text]
    stale += [path.name for path in FOLDER.glob("*.json") if path not in made]
    if stale:
        print(f"stale dashboards: {', '.join(stale)}; run: make docs", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
