"""The simulator keeps its promises: exact truth, plausible light, the same bytes again."""

from functools import cache
from math import cos, pi, radians, sin, tan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudmask.local.simulator import Scene, SceneSettings, add_clouds, simulate
from cloudmask.local.simulator.atmosphere import (
    Atmosphere,
    BandAtmosphere,
    henyey_greenstein,
    overhead,
    rayleigh_depth,
    rayleigh_phase,
)
from cloudmask.local.simulator.clouds import THICK, VISIBLE, Clouds, Particles
from cloudmask.local.simulator.compose import Place, cast_light
from cloudmask.local.simulator.fields import (
    Spectrum,
    block_mean,
    fractal,
    sample,
    spread,
    view_factor,
)
from cloudmask.local.simulator.geometry import Sun, sunlit
from cloudmask.local.simulator.sensor import BAND_NAMES, BANDS, Band, Sensor
from cloudmask.local.simulator.spectra import MATERIALS
from cloudmask.local.simulator.surface import Ground, Relief, make_ground

SMALL = (192, 224)
B = {name: index for index, name in enumerate(BAND_NAMES)}


@cache
def small(**changes: object) -> Scene:
    return simulate(SceneSettings(**{"shape": SMALL, **changes}))  # type: ignore[arg-type]


@cache
def land() -> Ground:
    return make_ground(np.random.default_rng(3), (256, 256), 10.0, Relief(snow_line=205.0))


def median(scene: Scene, band: str, where: np.ndarray) -> float:
    return float(np.median(scene.reflectance_dn[B[band]][where]))


# --- what a scene is ---------------------------------------------------------------------


def test_the_same_settings_give_the_same_bytes() -> None:
    again = simulate(SceneSettings(shape=SMALL))
    assert again.reflectance_dn.tobytes() == small().reflectance_dn.tobytes()
    assert again.truth.tobytes() == small().truth.tobytes()


def test_another_seed_gives_another_scene() -> None:
    assert (small(seed=1).truth != small().truth).mean() > 0.1


def test_the_clouds_stay_when_the_sun_moves() -> None:
    moved = small(sun_zenith=20.0, sun_azimuth=200.0)
    np.testing.assert_array_equal(moved.water_thickness, small().water_thickness)
    np.testing.assert_array_equal(moved.cirrus_thickness, small().cirrus_thickness)


def test_shapes_types_and_names_are_as_documented() -> None:
    scene = small()
    assert scene.reflectance_dn.shape == (13, *SMALL)
    assert scene.reflectance_dn.dtype == np.uint16
    assert scene.truth.shape == SMALL
    assert scene.truth.dtype == np.uint8
    assert scene.bands == BAND_NAMES
    assert scene.bands[7:10] == ("B08", "B8A", "B09")
    for layer in (scene.water_thickness, scene.cirrus_thickness, scene.direct_sun):
        assert layer.shape == SMALL
        assert layer.dtype == np.float32


def test_the_transform_puts_row_zero_in_the_north() -> None:
    a, b, _, d, e, _ = small(pixel_size=20.0).transform
    assert (a, b, d, e) == (20.0, 0.0, 0.0, -20.0)
    assert small().crs.startswith("EPSG:")


def test_truth_knows_no_other_codes() -> None:
    assert set(np.unique(small().truth)) == {0, 1, 2, 3, 255}


def test_no_data_is_zero_in_all_bands_and_nothing_else_is() -> None:
    zero = small().reflectance_dn == 0
    assert (zero.all(axis=0) == (small().truth == 255)).all()
    assert (zero.any(axis=0) == zero.all(axis=0)).all()
    assert 0.02 < zero[0].mean() < 0.3


def test_without_an_edge_every_pixel_is_valid() -> None:
    scene = small(no_data_edge=False)
    assert (scene.truth != 255).all()
    assert scene.reflectance_dn.min() >= 1


def test_an_offset_adds_exactly_to_valid_pixels() -> None:
    plain, shifted = small().reflectance_dn, small(offset=1000).reflectance_dn
    valid = plain[0] > 0
    np.testing.assert_array_equal(shifted[:, valid], plain[:, valid] + 1000)
    assert (shifted[:, ~valid] == 0).all()


@pytest.mark.parametrize(
    ("thick", "thin"), [(0.18, 0.12), (0.0, 0.3), (0.05, 0.3), (0.5, 0.2), (1.0, 0.0), (0.0, 0.0)]
)
@pytest.mark.parametrize("seed", [0, 5])
def test_covers_come_close_to_the_wanted_ones(thick: float, thin: float, seed: int) -> None:
    scene = small(thick_cover=thick, thin_cover=thin, seed=seed)
    valid = scene.truth != 255
    assert (scene.truth[valid] == 1).mean() == pytest.approx(thick, abs=0.015)
    assert (scene.truth[valid] == 2).mean() == pytest.approx(thin, abs=0.03)


def test_truth_follows_from_the_continuous_truth() -> None:
    scene = small()
    thickness = scene.water_thickness + scene.cirrus_thickness
    valid = scene.truth != 255
    assert ((thickness >= THICK) == (scene.truth == 1))[valid].all()
    assert ((thickness < VISIBLE) == np.isin(scene.truth, (0, 3)))[valid].all()
    assert scene.direct_sun[scene.truth == 3].max() < 0.5
    assert scene.direct_sun[scene.truth == 0].min() >= 0.5


@given(
    seed=st.integers(0, 2**32),
    zenith=st.floats(0.0, 75.0),
    azimuth=st.floats(0.0, 360.0),
    thick=st.floats(0.0, 0.6),
    thin=st.floats(0.0, 0.4),
    rows=st.integers(16, 70),
)
@settings(max_examples=25, deadline=None)
def test_any_settings_give_a_whole_scene(
    seed: int, zenith: float, azimuth: float, thick: float, thin: float, rows: int
) -> None:
    scene = simulate(
        SceneSettings(
            shape=(rows, 48),
            seed=seed,
            sun_zenith=zenith,
            sun_azimuth=azimuth,
            thick_cover=thick,
            thin_cover=thin,
        )
    )
    valid = scene.truth != 255
    assert scene.reflectance_dn[:, valid].min() >= 1
    assert scene.reflectance_dn.max() < 30_000
    assert np.isfinite(scene.direct_sun).all()
    assert 0.0 <= scene.direct_sun.min() <= scene.direct_sun.max() <= 1.0


# --- shadows -----------------------------------------------------------------------------


def lone_cloud(base: float) -> Clouds:
    """Put one round cloud, 240 m across, in the middle of 300 x 300 pixels of 10 m."""
    rows, columns = np.mgrid[:300, :300]
    disc = ((rows - 150) ** 2 + (columns - 150) ** 2 < 144).astype(np.float32)
    return Clouds(disc * np.float32(20.0), base, np.zeros_like(disc), 9_000.0)


def shadow_centre(base: float, zenith: float, azimuth: float) -> tuple[float, float]:
    """Return how far, in pixels south and east, the shadow lies from the lone cloud."""
    flat = np.full((300, 300), 100.0, np.float32)
    place = Place(flat, 10.0, Sun(zenith, azimuth))
    dark = 1.0 - cast_light(lone_cloud(base), place, place.seen_from(base)).beam
    rows, columns = np.mgrid[:300, :300]
    return (
        float((dark * rows).sum() / dark.sum()) - 150.0,
        float((dark * columns).sum() / dark.sum()) - 150.0,
    )


@pytest.mark.parametrize(
    ("azimuth", "south", "east"),
    [(0.0, 1.0, 0.0), (90.0, 0.0, -1.0), (180.0, -1.0, 0.0), (270.0, 0.0, 1.0)],
)
def test_shadows_fall_away_from_the_sun(azimuth: float, south: float, east: float) -> None:
    # At 45 degrees a shadow lies as far off as the middle of the cloud is high.
    away = 100.0 / 10.0 * 9.0 + 55.0 / 2
    where = shadow_centre(1_000.0, 45.0, azimuth)
    assert where == pytest.approx((south * away, east * away), abs=2.0)


def test_a_sun_in_the_south_south_east_throws_shadows_to_the_north_north_west() -> None:
    south, east = shadow_centre(1_000.0, 40.0, 150.0)
    away = (1_000.0 + 275.0 - 100.0) * tan(radians(40.0)) / 10.0
    assert south == pytest.approx(-away * cos(radians(30.0)), abs=2.0)
    assert east == pytest.approx(-away * sin(radians(30.0)), abs=2.0)


def test_higher_clouds_throw_their_shadow_farther() -> None:
    low, high = shadow_centre(600.0, 30.0, 180.0), shadow_centre(1_600.0, 30.0, 180.0)
    assert low[0] - high[0] == pytest.approx(100.0 * tan(radians(30.0)), abs=0.5)


def test_shadows_of_a_scene_match_its_clouds_when_moved_by_the_geometry() -> None:
    scene = small(shape=(400, 400), thin_cover=0.0, relief=0.0, no_data_edge=False)
    cloud = scene.water_thickness >= THICK
    dark = scene.direct_sun < 0.5
    match = np.fft.ifft2(np.fft.fft2(dark) * np.conj(np.fft.fft2(cloud))).real
    south, east = np.unravel_index(match.argmax(), match.shape)
    moved = np.hypot(400 - south, 400 - east) * 10.0
    turned = np.degrees(np.arctan2(400 - east, 400 - south))
    # Between the base and the tops of the clouds, 1700 m and some 700 m more above ground.
    assert 1_650.0 * tan(radians(40.0)) < moved < 2_500.0 * tan(radians(40.0))
    assert turned == pytest.approx(30.0, abs=3.0)


def test_a_shadow_that_leaves_on_one_side_enters_on_the_other() -> None:
    ramp = np.arange(12, dtype=np.float32).reshape(3, 4)
    rows, columns = np.mgrid[:3, :4].astype(np.float32)
    np.testing.assert_allclose(sample(ramp, rows - 3, columns + 4), ramp, atol=1e-5)


def test_shadows_darken_the_infrared_more_than_the_blue() -> None:
    scene = small()
    dark, clear = scene.truth == 3, scene.truth == 0
    infrared = median(scene, "B08", dark) / median(scene, "B08", clear)
    blue = median(scene, "B02", dark) / median(scene, "B02", clear)
    assert 0.1 < infrared < 0.5
    assert 0.7 < blue < 0.95


def test_cirrus_alone_throws_no_shadow_worth_the_name() -> None:
    scene = small(thick_cover=0.0, thin_cover=0.4)
    assert (scene.truth == 3).mean() < 0.02


# --- clouds ------------------------------------------------------------------------------


def test_thick_clouds_are_white_and_bright() -> None:
    scene = small()
    thick = scene.truth == 1
    visible = [median(scene, band, thick) for band in ("B02", "B03", "B04")]
    assert min(visible) > 3_500
    assert max(visible) / min(visible) < 1.15
    assert median(scene, "B12", thick) < 0.95 * median(scene, "B04", thick)


def test_band_10_is_dark_under_a_clear_sky_and_bright_under_cirrus() -> None:
    scene = small(thin_cover=0.3)
    clear = (scene.cirrus_thickness == 0) & (scene.truth == 0)
    cirrus = (scene.cirrus_thickness > 1.0) & (scene.truth == 2)
    assert median(scene, "B10", clear) < 40
    assert median(scene, "B10", cirrus) > 400


def test_band_10_hardly_sees_low_clouds() -> None:
    scene = small(thin_cover=0.0)
    low = (scene.truth == 1) & (scene.cirrus_thickness == 0)
    assert median(scene, "B10", low) < 100


def test_a_cloudless_sky_leaves_a_scene_as_it_is() -> None:
    clear = np.random.default_rng(0).uniform(0.1, 0.5, (13, 64, 64)).astype(np.float32)
    sun, nothing = Sun(40.0, 150.0), np.zeros((64, 64), np.float32)
    place = Place(np.full((64, 64), 100.0, np.float32), 10.0, sun)
    result = add_clouds(clear, Clouds(nothing, 1_800.0, nothing, 9_500.0), place, Atmosphere(sun))
    np.testing.assert_allclose(result, clear, atol=1e-5)


def test_clouds_over_a_real_scene_only_brighten_where_they_are() -> None:
    clear = np.full((13, 300, 300), 0.1, np.float32)
    sun = Sun(45.0, 90.0)
    place = Place(np.full((300, 300), 100.0, np.float32), 10.0, sun)
    result = add_clouds(clear, lone_cloud(1_000.0), place, Atmosphere(sun))
    assert result[B["B04"], 150, 150] > 0.4
    assert result[B["B8A"], 150, 30:40].mean() < 0.07
    assert result[B["B8A"], 10, 290] == pytest.approx(0.1, abs=0.005)


@given(st.floats(0.01, 200.0), st.floats(0.0, 0.9))
def test_drops_that_absorb_nothing_keep_all_light(thickness: float, asymmetry: float) -> None:
    layer = np.array([thickness], np.float32)
    reflected, through = Particles(asymmetry, 0.0).two_stream(layer)
    assert reflected + through == pytest.approx(1.0)
    almost = Particles(asymmetry, 1e-7).two_stream(layer)
    assert almost[0] == pytest.approx(reflected, abs=5e-3)


def test_absorbing_crystals_lose_light_and_darken_deep_clouds() -> None:
    layer = np.array([1.0, 10.0, 1e4], np.float32)
    reflected, through = Particles(0.78, 0.05).two_stream(layer)
    assert (reflected + through < 1.0).all()
    albedo = 0.95
    deep = (np.sqrt(1 - albedo * 0.78) - np.sqrt(0.05)) / (
        np.sqrt(1 - albedo * 0.78) + np.sqrt(0.05)
    )
    assert reflected[-1] == pytest.approx(deep, rel=1e-4)


# --- ground and air ----------------------------------------------------------------------


def where_pure(material: str) -> np.ndarray:
    return land().share[MATERIALS.index(material)] > 0.9


def ground_median(material: str, band: str) -> float:
    return float(np.median(land().reflectance(B[band])[where_pure(material)]))


def test_materials_add_up_to_the_whole_pixel() -> None:
    np.testing.assert_allclose(land().share.sum(axis=0), 1.0, atol=1e-4)
    assert land().share.min() > -1e-5


def test_vegetation_has_a_green_peak_and_a_red_edge() -> None:
    red, green, edge, infrared = (
        ground_median("broadleaf", b) for b in ("B04", "B03", "B05", "B08")
    )
    assert red < green < edge < infrared
    assert infrared > 5 * red


def test_snow_is_bright_in_the_visible_and_dark_in_the_short_wave_infrared() -> None:
    assert ground_median("snow", "B03") > 0.8
    assert ground_median("snow", "B11") < 0.15


def test_water_is_dark_in_the_short_wave_infrared() -> None:
    water = land().share[[MATERIALS.index(m) for m in ("clear water", "muddy water")]].sum(axis=0)
    assert land().reflectance(B["B11"])[water > 0.99].max() < 0.01
    assert land().reflectance(B["B03"])[water > 0.99].min() > 0.01


def test_clear_land_looks_like_level_1c_data() -> None:
    scene = small(thick_cover=0.0, thin_cover=0.0)
    clear = scene.truth == 0
    level = {band: median(scene, band, clear) for band in BAND_NAMES}
    assert level["B01"] > level["B02"] > level["B04"]
    assert 700 < level["B02"] < 1_300
    assert 1_800 < level["B08"] < 3_500
    assert level["B09"] < 0.4 * level["B8A"]
    assert level["B12"] < level["B11"] < level["B8A"]


def test_slopes_turned_to_the_sun_are_brighter() -> None:
    rows = np.arange(64, dtype=np.float32)[:, None] * np.ones((1, 64), np.float32)
    lit = sunlit(rows * np.float32(2.0), 10.0, Sun(40.0, 0.0))[32, 32]
    slope = np.arctan(0.2)
    assert lit == pytest.approx(cos(radians(40.0) - slope) / cos(radians(40.0)), rel=1e-4)


def test_the_air_scatters_as_much_as_the_literature_says() -> None:
    # 0.0973 at 550 nm and 1013.25 hPa: Bodhaine et al. 1999, rounded.
    assert rayleigh_depth(0.55) == pytest.approx(0.0973, rel=0.02)
    assert rayleigh_depth(0.443) / rayleigh_depth(0.865) == pytest.approx(14.9, rel=0.03)


def test_phase_functions_scatter_all_light_somewhere() -> None:
    cosine = np.linspace(-1.0, 1.0, 20_001)
    for phase in (rayleigh_phase, lambda c: henyey_greenstein(c, 0.65)):
        assert np.trapezoid([phase(c) for c in cosine], cosine) / 2 == pytest.approx(1.0, 1e-4)


def test_vapour_hides_the_ground_in_band_10_but_not_from_above_the_clouds() -> None:
    air = BandAtmosphere(Atmosphere(Sun(40.0, 150.0)), BANDS[B["B10"]])
    assert air.gas(overhead(0.0)) < 1e-4
    assert air.gas(overhead(9_500.0)) > 0.6


# --- sensor ------------------------------------------------------------------------------


@pytest.mark.parametrize(("band", "size"), [("B01", 6), ("B05", 2), ("B10", 6), ("B12", 2)])
def test_coarse_bands_are_constant_on_their_own_pixels(band: str, size: int) -> None:
    image = small(no_data_edge=False).reflectance_dn[B[band], :180, :216]
    blocks = image.reshape(180 // size, size, 216 // size, size)
    assert (blocks == blocks[:, :1, :, :1]).all()
    assert (np.diff(blocks[:, 0, :, 0].astype(int)) != 0).any()


@pytest.mark.parametrize("band", BANDS, ids=BAND_NAMES)
def test_noise_keeps_the_required_signal_to_noise_ratio(band: Band) -> None:
    sun = Sun(30.0, 150.0)
    level = pi * band.reference / (band.irradiance * sun.height)
    grid = Sensor(float(band.native), sun, 0)
    image = np.full((200, 200), level, np.float32)
    seen = grid.observe(band, image, np.random.default_rng(0)).astype(float)
    # Rounding to whole numbers adds a twelfth to the variance.
    noise = np.sqrt(seen.var() - 1 / 12)
    assert seen.mean() / noise == pytest.approx(band.signal_to_noise, rel=0.03)


# --- fields ------------------------------------------------------------------------------


def test_fractal_fields_are_standardised_and_periodic() -> None:
    field = fractal(np.random.default_rng(0), (128, 96), Spectrum(slope=4.0, outer=60.0))
    assert field.mean() == pytest.approx(0.0, abs=1e-4)
    assert field.std() == pytest.approx(1.0, abs=1e-4)
    seam, inside = np.abs(field[0] - field[-1]).mean(), np.abs(np.diff(field, axis=0)).mean()
    assert seam < 2 * inside


def test_stretched_fields_run_along_their_heading() -> None:
    spectrum = Spectrum(slope=3.0, outer=30.0, stretch=6.0, heading=pi / 2)
    field = fractal(np.random.default_rng(0), (128, 128), spectrum)
    assert np.diff(field, axis=1).std() < 0.5 * np.diff(field, axis=0).std()


def test_spreading_light_keeps_its_amount() -> None:
    spot = np.zeros((64, 64), np.float32)
    spot[32, 32] = 1.0
    wide = spread(spot, view_factor((64, 64), 4.0))
    assert wide.sum() == pytest.approx(1.0, abs=1e-4)
    # Straight below, a layer h pixels up is seen with 1 / (pi h**2).
    assert wide[32, 32] == pytest.approx(1 / (pi * 16), rel=0.05)


def test_blocks_at_a_ragged_edge_average_what_there_is() -> None:
    image = np.arange(35, dtype=np.float32).reshape(5, 7)
    mean = block_mean(image, 3)
    assert mean.shape == (5, 7)
    assert mean[0, 0] == image[:3, :3].mean()
    assert mean[0, 6] == image[:3, 6].mean()


# --- settings ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"shape": (8, 100)}, ValueError, r"shape=\(8, 100\) is not two numbers of at least 16"),
        ({"shape": (64, 64, 64)}, ValueError, "is not two numbers"),
        ({"shape": [64, 64]}, TypeError, "is not a tuple of int"),
        ({"shape": (64.0, 64)}, TypeError, "is not a tuple of int"),
        ({"pixel_size": 0.0}, ValueError, "pixel_size=0.0 is outside 1 to 60: give metres"),
        ({"seed": -1}, ValueError, "seed=-1 is outside"),
        ({"seed": 1.5}, TypeError, "seed=1.5 is not a whole number"),
        ({"sun_zenith": 80.0}, ValueError, "sun_zenith=80.0 is outside 0 to 75"),
        ({"sun_zenith": float("nan")}, ValueError, "sun_zenith=nan is outside"),
        ({"sun_azimuth": -30.0}, ValueError, "add 360 to negative angles"),
        ({"thick_cover": 18}, ValueError, "thick_cover=18 is outside 0 to 1: .* divide percent"),
        ({"thick_cover": 0.7, "thin_cover": 0.5}, ValueError, "exceed 1 together"),
        ({"cloud_height": "1800"}, TypeError, "cloud_height='1800' is not a number"),
        ({"cloud_height": 5e3, "cirrus_height": 6e3}, ValueError, "less than 2000 m above"),
        ({"offset": True}, TypeError, "offset=True is not a whole number"),
        ({"offset": -1000}, ValueError, "offset=-1000 is outside"),
        ({"no_data_edge": 1}, TypeError, "no_data_edge=1 is not a flag"),
        ({"snow_line": -5.0}, ValueError, "snow_line=-5.0 is outside"),
    ],
)
def test_bad_settings_say_value_rule_and_remedy(
    wrong: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        SceneSettings(**wrong)  # type: ignore[arg-type]


# --- an independent judge ----------------------------------------------------------------


def f1(truth: np.ndarray, found: np.ndarray) -> float:
    return 2 * (truth & found).sum() / (truth.sum() + found.sum())


@pytest.mark.slow
def test_a_network_trained_on_real_scenes_finds_the_clouds_and_shadows() -> None:
    mask = pytest.importorskip("ukis_csmask.mask", reason="needs the extra ukis")
    scene = small(shape=(400, 400), seed=1)
    order = ("B02", "B03", "B04", "B08", "B11", "B12")
    image = np.stack([scene.reflectance_dn[B[band]] for band in order], axis=-1) / np.float32(1e4)
    names = ["blue", "green", "red", "nir", "swir16", "swir22"]
    found = mask.CSmask(img=image, band_order=names, product_level="l1c").csm.squeeze()
    valid = scene.truth != 255
    assert f1(np.isin(scene.truth, (1, 2)) & valid, (found == 1) & valid) > 0.85
    assert f1((scene.truth == 3) & valid, (found == 2) & valid) > 0.65
