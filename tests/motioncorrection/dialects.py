"""What MotionCor2 and MotionCor3 print, version by version, for the stand-ins: after real logs and MotionCor3's source.

It imports nothing, so that a stand-in starts in milliseconds.
"""

#: Every parameter that is echoed at the start, in order, with its default. `-FmIntFile` is there twice.
TAGS = (
    ("-InMrc", ""), ("-InTiff", ""), ("-InEer", ""), ("-InSuffix", ""), ("-OutMrc", ""), ("-FmIntFile", ""),
    ("-ArcDir", ""), ("-FullSum", ""), ("-Gain", ""), ("-Dark", ""), ("-DefectFile", ""), ("-DefectMap", ""),
    ("-InAln", ""), ("-OutAln", ""), ("-TmpFile", ""), ("-LogDir", ""), ("-FmIntFile", ""), ("-Serial", "0"),
    ("-EerSampling", "1"), ("-Patch", "0  0  0"), ("-Iter", "7"), ("-Tol", "0.50"), ("-Bft", "500.00 100.00"),
    ("-PhaseOnly", "0"), ("-StackZ", "0"), ("-FtBin", "1.00"), ("-InitDose", "0.00"), ("-FmDose", "0.00"),
    ("-PixSize", "0.00"), ("-kV", "300"), ("-Cs", "2.70"), ("-AmpCont", "0.07"), ("-ExtPhase", "0.00"),
    ("-Throw", "0"), ("-Trunc", "0"), ("-SumRange", "3.00  25.00"), ("-SplitSum", "0"), ("-Group", "1  4"),
    ("-FmRef", "-1"), ("-OutStack", "0  1"), ("-RotGain", "0"), ("-FlipGain", "0"), ("-InvGain", "0"),
    ("-Align", "1"), ("-Tilt", "0.00  0.00"), ("-Mag", "1.00  1.00  0.00"), ("-InFmMotion", "0"), ("-Crop", "0  0"),
    ("-Gpu", "0"), ("-UseGpus", "1"), ("-GpuMemUsage", "0.75"), ("-OutStar", "0"), ("-TiffOrder", "1"),
    ("-CorrInterp", "0"),
)  # fmt: skip
#: Those that one of them does not have: MotionCor3, MotionCor2 up to 1.5 and since.
ABSENT = {
    "motioncor3": ("-StackZ",),
    "1.5": ("-InvGain", "-TiffOrder", "-CorrInterp", "-Cs", "-AmpCont", "-ExtPhase"),
    "1.6": ("-StackZ", "-Cs", "-AmpCont", "-ExtPhase"),
}
TITLES = {"motioncor2": "MotionCor2", "motioncor3": "MotionCor3"}


def isOld(kind, version):
    return kind == "motioncor2" and tuple(map(int, version.split(".")[:2])) < (1, 6)


def formatVersion(kind, version):
    """What `--version` as the only argument is answered with."""
    return f"{TITLES[kind]} version {version}\nBuilt on May 14 2025\n"


def readFlags(words):
    """What was given with each tag, the tags in lower case: they match in any."""
    flags, tag = {}, ""
    for word in words:
        if word[:1] == "-" and not word[1:2].isdigit():
            tag = word.lower()
            flags.setdefault(tag, [])
        elif tag:
            flags[tag].append(word)
    return {tag: "  ".join(values) for tag, values in flags.items()}


def formatParameters(kind, version, flags):
    """The echo of all parameters."""
    absent = ABSENT[kind if kind == "motioncor3" else "1.5" if isOld(kind, version) else "1.6"]
    lines = [f"{tag:<15s}  {flags.get(tag.lower(), default)}" for tag, default in TAGS if tag not in absent]
    return "\n".join(["", *lines, "", "", "GPU 0 memory: 8107 MB", ""])


def formatAlignment(kind, version, shifts):
    """The alignment of the whole frames; `shifts` are (x, y) relative to the first frame."""
    lines = ["Full-frame alignment has been started.", "Iteration  1  Error:     7.619"]
    lines += ["Iteration  2  Error:     0.097", "", "Full-frame alignment shift"]
    if kind == "motioncor2" and not isOld(kind, version):
        lines[-1:] = ["Full-frame alignment", "  Frame   x Shift   y Shift"]
        lines += [f"{frame:5d} {x:10.3f} {y:10.3f}" for frame, (x, y) in enumerate(shifts, 1)]
    else:
        middle = shifts[len(shifts) // 2] if isOld(kind, version) and shifts else (0.0, 0.0)
        lines += [
            f"...... Frame ({frame:3d}) shift: {x - middle[0]:9.3f}  {y - middle[1]:9.3f}"
            for frame, (x, y) in enumerate(shifts, 1)
        ]
    return "\n".join([*lines, "", ""])


def formatEnd(kind, version, outputs):
    """The end of a run that went well."""
    lines = ["Computation time: 1.020452 sec", "", "Saving motion corrected images ......"]
    if isOld(kind, version):
        lines += ["Saving motion corrected images done.", "Save image sums: 0.13 sec"]
    else:
        for output in outputs:
            lines += ["Corrected sum has been saved in:", f"   {output}", ""]
        lines += ["Motion corrected images saved."]
    return "\n".join([*lines, "", "Total time: 10.766483 sec", ""])
