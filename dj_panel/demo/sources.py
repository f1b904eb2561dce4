"""Provenance of the demo's recordings: rows of the table `Source`.

What a source does not say is not made up: `known` tells the reader where knowledge ends.
"""

from __future__ import annotations

_BSD = "BSD 3-Clause (licence of the package)"
_MIT = "MIT (licence of the package)"
_GRASSHOPPER = (
    "Rokem A, Watzl S, Gollisch T, Stemmler M, Herz AVM, Samengo I (2006). Spike-timing precision underlies"
    " the coding efficiency of auditory receptor neurons. J Neurophysiol 95:2541-2552. Data set: CRCNS ia-1."
)
_HEARTPY = (
    "van Gent P, Farah H, van Nes N, van Arem B (2019). HeartPy: a novel heart rate algorithm for the"
    " analysis of noisy signals. Transp Res Part F 66:368-378."
)
_HEARTPY_URL = "https://github.com/paulvangentcom/heartrate_analysis_python"
_SKIMAGE = "van der Walt S et al. (2014). scikit-image: image processing in Python. PeerJ 2:e453."

SOURCES = [
    {
        "source": "grasshopper-200",
        "title": "Spikes of a locust auditory receptor, noise up to 200 Hz",
        "package": "nitime",
        "license": _BSD + "; CRCNS asks to cite the data set and the paper",
        "citation": _GRASSHOPPER,
        "url": "https://crcns.org/data-sets/ia/ia-1/about-ia-1",
        "known": "Primary auditory receptor of Locusta migratoria; spike times in µs, stimulus sampled every"
        " 50 µs for 10 s (the header's 1000 ms does not fit the file). A tone whose amplitude is Gaussian"
        " noise with a standard deviation of 6 dB. Animal, age and day are not stated.",
    },
    {
        "source": "grasshopper-800",
        "title": "Spikes of a locust auditory receptor, noise up to 800 Hz",
        "package": "nitime",
        "license": _BSD + "; CRCNS asks to cite the data set and the paper",
        "citation": _GRASSHOPPER,
        "url": "https://crcns.org/data-sets/ia/ia-1/about-ia-1",
        "known": "As grasshopper-200, with a faster modulation. Whether it is the same receptor is not"
        " stated; the demo books it as another animal.",
    },
    {
        "source": "heartpy-clean",
        "title": "Short, clean finger pulse",
        "package": "heartpy",
        "license": _MIT,
        "citation": _HEARTPY,
        "url": _HEARTPY_URL,
        "known": "Photoplethysmogram sampled at 100 Hz, 24.8 s, arbitrary units. Volunteer and day are not"
        " stated.",
    },
    {
        "source": "heartpy-noisy",
        "title": "Finger pulse with a gap and noise spikes",
        "package": "heartpy",
        "license": _MIT,
        "citation": _HEARTPY,
        "url": _HEARTPY_URL,
        "known": "Photoplethysmogram, 128 s at 117 Hz, arbitrary units; the signal is lost from 18 to 25 s,"
        " and noisy before. Volunteer and day are not stated.",
    },
    {
        "source": "heartpy-driving",
        "title": "Finger pulse while driving in a simulator",
        "package": "heartpy",
        "license": _MIT,
        "citation": _HEARTPY,
        "url": _HEARTPY_URL,
        "known": "Photoplethysmogram of a Pulse Sensor on the index finger, read by an Arduino: 11.4 min at"
        " 100.4 Hz on average, beginning 2016-11-24 13:58:58 by the clock of the PC. Volunteer is not"
        " stated.",
    },
    {
        "source": "nitime-fmri",
        "title": "Two short functional MRI runs, part of the brain",
        "package": "nitime",
        "license": _BSD,
        "citation": "Rokem A, Trumpis M, Perez F (2009). Nitime: time-series analysis for neuroimaging data."
        " Proc 8th Python in Science Conf, 68-75.",
        "url": "https://nipy.org/nitime/",
        "known": "10 x 10 x 18 voxels of 2.08 x 2.08 x 2.3 mm, 40 volumes, repetition time 1.35 s by the"
        " header. Volunteer, task and scanner are not stated.",
    },
    {
        "source": "nibabel-functional",
        "title": "Functional MRI of three slices, normalised by SPM",
        "package": "nibabel",
        "license": _MIT,
        "citation": "Brett M et al. NiBabel: access a cacophony of neuro-imaging file formats."
        " doi:10.5281/zenodo.591597.",
        "url": "https://nipy.org/nibabel/",
        "known": "17 x 21 x 3 voxels of 4 x 4 x 8 mm, 20 volumes, repetition time 2 s by the header;"
        " resampled to a template, so its noise is smoother than a scanner's. Volunteer and task are not"
        " stated.",
    },
    {
        "source": "nibabel-example4d",
        "title": "Two brain volumes of an MRI series",
        "package": "nibabel",
        "license": _MIT,
        "citation": "Brett M et al. NiBabel: access a cacophony of neuro-imaging file formats."
        " doi:10.5281/zenodo.591597.",
        "url": "https://nipy.org/nibabel/",
        "known": "128 x 96 x 24 voxels of 2 x 2 x 2.2 mm, 2 volumes; the header gives a repetition time of"
        " 2000 s, which is not believed and left out. Too short for temporal noise.",
    },
    {
        "source": "skimage-ihc",
        "title": "Colonic glands, FHL2 stained with DAB, nuclei with haematoxylin",
        "package": "scikit-image",
        "license": "No known copyright restrictions (scikit-image)",
        "citation": _SKIMAGE + " Image: Center for Microscopy and Molecular Imaging (CMMI).",
        "url": "https://scikit-image.org/docs/stable/api/skimage.data.html",
        "known": "512 x 512 pixels. The size of a pixel and the donor are not stated, so areas are in"
        " pixels.",
    },
    {
        "source": "skimage-cell",
        "title": "A cell in saline, quantitative phase",
        "package": "scikit-image",
        "license": "CC0 (public domain)",
        "citation": "Müller P, Schürmann M, Girardo S, Cojoc G, Guck J (2018). Accurate evaluation of size"
        " and refractive index for spherical objects in quantitative phase imaging. Opt Express"
        " 26:10729-10743.",
        "url": "https://scikit-image.org/docs/stable/api/skimage.data.html",
        "known": "660 x 550 pixels of 0.107 µm, from a digital hologram; grey values are scaled, not"
        " radians.",
    },
    {
        "source": "skimage-retina",
        "title": "Fundus photograph of a normal left eye",
        "package": "scikit-image",
        "license": "CC0 (public domain)",
        "citation": "Häggström M (2014). Medical gallery of Mikael Häggström 2014. WikiJournal of Medicine"
        " 1(2). doi:10.15347/wjm/2014.008.",
        "url": "https://commons.wikimedia.org/wiki/File:Fundus_photograph_of_normal_left_eye.jpg",
        "known": "1411 x 1411 pixels, colour. The size of a pixel is not stated.",
    },
]
