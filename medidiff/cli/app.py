"""All verbs in one place, in the order in which a newcomer meets them."""

import typer

from medidiff.cli import (
    acquisition,
    archive,
    chromatography,
    cluster,
    configuration,
    data,
    dehazing,
    inspect,
    operators,
    pages,
    phantom,
    reconstruction,
    run,
    scan,
    steps,
    training,
    validation,
)

app = typer.Typer(
    help="From a folder of studies to results, uncertainty, metrics and a report.\n\n"
    "Start with `medidiff scan FOLDER -o studies.tsv`, name the table in a YAML file (configs/ holds examples), then "
    "`medidiff run that.yaml`. Every step can also be called by hand.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

WORKFLOW, STEPS, OTHER = "The workflow", "Single steps", "Around it"

app.command(rich_help_panel=WORKFLOW)(scan.scan)
app.command(rich_help_panel=WORKFLOW)(validation.cases)
app.command(rich_help_panel=WORKFLOW)(run.check)
app.command(rich_help_panel=WORKFLOW)(run.run)
app.command(rich_help_panel=WORKFLOW)(inspect.status)
app.command(rich_help_panel=WORKFLOW)(inspect.why)
app.command(rich_help_panel=WORKFLOW)(pages.report)
app.command(rich_help_panel=WORKFLOW)(inspect.repeat)
app.command(rich_help_panel=WORKFLOW)(inspect.doctor)

app.command(rich_help_panel=STEPS)(steps.convert)
app.command(rich_help_panel=STEPS)(steps.truth)
app.command(rich_help_panel=STEPS)(steps.segment)
app.command(rich_help_panel=STEPS)(steps.export)
app.command(rich_help_panel=STEPS)(steps.maps)
app.command(rich_help_panel=STEPS)(steps.evaluate)
app.command(rich_help_panel=STEPS)(validation.validate)
app.command(rich_help_panel=STEPS)(chromatography.chromatograph)
app.command(rich_help_panel=STEPS)(chromatography.fit_many)
app.command(rich_help_panel=STEPS)(chromatography.elute)
app.command(rich_help_panel=STEPS)(acquisition.simulate)
app.command(rich_help_panel=STEPS)(acquisition.acquire)
app.command(rich_help_panel=STEPS)(acquisition.reference)
app.command(rich_help_panel=STEPS)(reconstruction.reconstruct)
app.command(rich_help_panel=STEPS)(reconstruction.series)
app.command(rich_help_panel=STEPS)(reconstruction.compare)
app.command(rich_help_panel=STEPS)(reconstruction.calibrate)
app.command(rich_help_panel=STEPS)(dehazing.dehaze)
app.command(rich_help_panel=STEPS)(dehazing.cine)
app.command(rich_help_panel=STEPS)(dehazing.score)
app.command(rich_help_panel=STEPS)(operators.trajectories)
app.command(rich_help_panel=STEPS)(operators.import_trajectories)
app.command(rich_help_panel=STEPS)(operators.export_trajectories)
app.command(rich_help_panel=STEPS)(operators.operate)
app.command(rich_help_panel=STEPS)(operators.super_resolve)
app.command(rich_help_panel=STEPS)(operators.control)
app.command(rich_help_panel=STEPS)(pages.page)
app.command(rich_help_panel=STEPS)(pages.index)

app.command(rich_help_panel=OTHER)(archive.crate)
app.command(rich_help_panel=OTHER)(archive.bids)
app.command(rich_help_panel=OTHER)(training.train)
app.command(rich_help_panel=OTHER)(cluster.dask)
app.add_typer(data.app, name="data", rich_help_panel=OTHER)
app.add_typer(phantom.app, name="phantom", rich_help_panel=OTHER)
app.add_typer(configuration.app, name="config", rich_help_panel=OTHER)
app.command(rich_help_panel=OTHER)(scan.suv)
