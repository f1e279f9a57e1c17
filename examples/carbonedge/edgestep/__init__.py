"""The contrast of the carbon's edge in each micrograph: what pages, alarms and exports have to know of the step."""

from appion.base.records.steps import LOW, Column, RegisteredStep

STEP = RegisteredStep(
    name="carbonedge",
    words="carbon edge",
    columns=(Column("edge_contrast", "contrast of the edge", "%", 1, better=LOW, headline=True),),
)
