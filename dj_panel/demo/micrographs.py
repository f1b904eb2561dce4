"""Segmentation of the demo lab's micrographs: pure functions from images to labelled regions."""

# scikit-image is marked as typed, but its functions are not annotated
# mypy: disallow-untyped-calls=False

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import color, feature, filters, measure, morphology, segmentation

LabelImage = NDArray[np.int32]

SMALLEST_NUCLEUS_PX = 50
SMALLEST_CELL_PX = 500
CYTOPLASM_PX = 4


@dataclass(frozen=True)
class Region:
    """One labelled region: its area and centre in pixels, its form, and its mean intensity.

    ``is_positive`` says whether stained tissue surrounds it; regions of unstained images are never positive.
    """

    label: int
    area_px: int
    centre_row: float
    centre_column: float
    eccentricity: float
    mean_intensity: float
    is_positive: bool


@dataclass(frozen=True)
class Segmented:
    """A label image (0 is background), its regions, and the stained fraction of the image, if stained."""

    labels: LabelImage
    regions: list[Region]
    stained_fraction: float | None


def _described(
    labels: NDArray[np.integer], intensity: NDArray[np.floating], stained_around: NDArray[np.float64]
) -> list[Region]:
    return [
        Region(
            label=int(region.label),
            area_px=int(region.area),
            centre_row=float(region.centroid[0]),
            centre_column=float(region.centroid[1]),
            eccentricity=float(region.eccentricity),
            mean_intensity=float(region.intensity_mean),
            is_positive=bool(stained_around[region.label] > 0.5),
        )
        for region in measure.regionprops(labels, intensity_image=intensity)
    ]


def segment_stained_nuclei(image: NDArray[np.uint8]) -> Segmented:
    """Find the nuclei in an immunohistochemical image stained with haematoxylin and DAB.

    The colours are separated into stains. Nuclei are where haematoxylin is denser than around; touching
    ones are split along the ridge between their centres. A nucleus is positive if most of the tissue right
    around it is stained, that is, its DAB exceeds Otsu's threshold: the nuclei themselves hold little DAB.
    ``image`` is ``(rows, columns, 3) uint8``; the mean intensity of a region is its DAB density (arbitrary
    units).

    Source: Ruifrok and Johnston (2001), Anal. Quant. Cytol. Histol. 23:291-299, as in
    `skimage.color.rgb2hed`.
    """
    stains = color.rgb2hed(image)
    haematoxylin = filters.gaussian(stains[..., 0], 2.0)
    dab = filters.gaussian(stains[..., 2], 1.0)
    around = filters.threshold_local(haematoxylin, 61, method="gaussian")
    # The floor keeps out faint texture of empty areas, where any local maximum is denser than around.
    nuclei = (haematoxylin > 1.03 * around) & (haematoxylin > 0.75 * filters.threshold_otsu(haematoxylin))
    nuclei = morphology.opening(nuclei, morphology.disk(2))
    nuclei = ndimage.binary_fill_holes(nuclei)
    depth = filters.gaussian(ndimage.distance_transform_edt(nuclei), 1.5)
    centres = feature.peak_local_max(
        depth, min_distance=5, labels=measure.label(nuclei), exclude_border=False
    )
    markers = np.zeros(nuclei.shape, dtype=np.int32)
    markers[tuple(centres.T)] = np.arange(1, len(centres) + 1)
    labels = segmentation.watershed(-depth, markers, mask=nuclei)
    labels = _without_small(labels, SMALLEST_NUCLEUS_PX)
    stained = dab > filters.threshold_otsu(dab)
    return Segmented(labels, _described(labels, dab, _surround(labels, stained)), float(stained.mean()))


def segment_phase_cells(image: NDArray[np.uint8]) -> Segmented:
    """Find cells in a quantitative phase image, where they delay light more than the medium.

    ``image`` is ``(rows, columns) uint8``; the mean intensity of a region is its phase (arbitrary units).

    Source: Otsu (1979), IEEE Trans. Syst. Man Cybern. 9:62-66, on the image smoothed with a Gaussian of 2
    pixels.
    """
    phase = filters.gaussian(image, 2.0, preserve_range=True)
    labels = measure.label(phase > filters.threshold_otsu(phase)).astype(np.int32)
    labels = _without_small(labels, SMALLEST_CELL_PX)
    return Segmented(labels, _described(labels, phase, np.zeros(labels.max() + 1)), None)


def _surround(labels: LabelImage, stained: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return, by label, which fraction of the ring of ``CYTOPLASM_PX`` around the region is stained."""
    rings = np.where(labels == 0, segmentation.expand_labels(labels, CYTOPLASM_PX), 0).ravel()
    n_labels = int(labels.max()) + 1
    sizes = np.bincount(rings, minlength=n_labels)
    hits = np.bincount(rings, weights=stained.ravel(), minlength=n_labels)
    return np.divide(hits, sizes, out=np.zeros(n_labels), where=sizes > 0)


def _without_small(labels: NDArray[np.integer], fewest_px: int) -> LabelImage:
    sizes = np.bincount(labels.ravel())
    kept = np.where(sizes[labels] >= fewest_px, labels, 0)
    return np.asarray(segmentation.relabel_sequential(kept)[0], dtype=np.int32)
