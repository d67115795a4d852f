"""Where the modules of version 0.1.0 are now: an old path raises one line that names the new one.

Nothing is redirected: what moved may move again. `famulus.api` is what people's own code imports.
"""

from collections.abc import Callable
from functools import cache
from importlib.machinery import ModuleSpec
from typing import Any, NoReturn

GONE = ("casebook", "data", "models", "ops")  # packages that were taken apart
TABLE = """
ops > diagnosis: loss_forms
diagnosis > diagnosis.foresight: backtest forecast foresee=run_forecast
diagnosis.controls > diagnosis.controls: loader=loader_speed moves=weights_move
    noise_scale=gradient_noise outputs=free_output rate=learning_rate sizes=batch_sizes
diagnosis > diagnosis.probes: probe_layers=layers probe_outputs=outputs probe_sample=sample
    probe_tensors=tensors probes=probe
data > feed: feeder order progress source streams told=progress
ops > feed: draws
data > images: cache catalog class_folders duplicates fetch file_source files idx image_index
    image_source images=open labelled=labelled_source loose=input_pictures npz
    over_pictures=derived_source parts picture rebuild sets=datasets splits subset
ops > images: strip views
journal > journal.facts: anova blank=unused_axes changes decimate effects entry expect
    facts=headline forecast group layers layers_compare names numbers record table
journal > journal.pages: compare entry_page figures html index_page layers_page lineage markdown
    panels pictures render run_page site standalone
models > nets: autoencoder layers
ops > nets: elbo noise_scale
casebook > tasks: _source=faulty_source
data > tasks.codes: coded_images=data encoded=code_source picked=filtered_source placed=letterbox
models > tasks.codes: causality coded=net codes_apply=apply codes_walk=walk convolution
    library_quantiser pixelcnn prior=prior_net prior_apply quantiser sampler scaling transformer
    vqvae
ops > tasks.codes: code_scores masked=masked_losses quantise=quantisation
tasks > tasks.codes: codes codes_settings=settings prior prior_settings
casebook > tasks.codes.faults: codes_counts_from_zero=counts_from_zero
    codes_inverted_validation=inverted_validation codes_log_of_zero=log_of_zero
    codes_part_of_the_net=part_of_the_net codes_reads_a_global=reads_a_global
    codes_stretched=stretched prior_isolated prior_peeks prior_uncached
data > tasks.pretext: loose_answers=apply_answers loose_features=apply_features pretext_data=data
    pretext_source=source
models > tasks.pretext: encoder_settings encoders freezing heads pretext=net
    pretext_settings=net_settings transfer=transfer_net
ops > tasks.pretext: answers constant_answers=constant_baseline contrastive examiner
    pretext=transforms questions representation shortcuts
tasks > tasks.pretext: pretext pretext_settings=settings transfer transfer_settings
casebook > tasks.pretext.faults: pretext_neighbours_target=neighbours_target
    pretext_only_attraction=only_attraction pretext_sigmoid_twice=sigmoid_twice
    transfer_brightness transfer_broadcast transfer_class_ids_as_shares transfer_damaged_sample
    transfer_dead_bias transfer_detached transfer_frozen_by_gradient transfer_hidden_state
    transfer_labels_renumbered transfer_raw_pixels transfer_shuffled_labels transfer_slow_loader
    transfer_validates_in_train_mode transfer_validates_on_training
data > tasks.qsm: phantoms_qsm=phantoms qsm_apply=apply qsm_input=input_files qsm_records=records
    qsm_sets=datasets qsm_source=source
models > tasks.qsm: ndi qsm_baselines=baselines
ops > tasks.qsm: descent dipole field_tests inversion map_scores phase slices spectrum step_plots
    steps
tasks > tasks.qsm: qsm qsm_settings=settings
casebook > tasks.qsm.faults: qsm_damaged_records=damaged_records qsm_shifted_grid=shifted_grid
    qsm_swapped=swapped qsm_turned_kernel=turned_kernel
data > tasks.scroll: block_pool cube_field cubes held_out=validation_split joined=joined_source
    letters papyrus papyrus_sheet regions scroll_data=data surface
    surface_apply surface_margin surface_report
models > tasks.scroll: conv_pool cubes=cubes_net ink=ink_net scroll_net=net
ops > tasks.scroll: blend border ink=ink_loss scores=binary_scores seams
    segmentation=segmentation_losses
tasks > tasks.scroll: scroll scroll_settings=settings
casebook > tasks.scroll.faults: scroll_count_blend=count_blend
data > tasks.tiles: before_after=resize_comparison composites levels=grey_levels noise
    tile_sets=datasets
models > tasks.tiles: stacked=stacked_net
ops > tasks.tiles: code_price constant=constant_baseline histogram reconstruction
tasks > tasks.tiles: tiles tiles_settings=settings
casebook > tasks.tiles.faults: tiles_damaged_sample=damaged_sample tiles_dead_bias=dead_bias
    tiles_detached=detached tiles_growing_weights=growing_weights tiles_hidden_state=hidden_state
    tiles_inverted_validation=inverted_validation tiles_large_start=large_start
    tiles_log_of_zero=log_of_zero tiles_neighbours_target=neighbours_target
    tiles_part_of_the_net=part_of_the_net tiles_reads_a_global=reads_a_global
    tiles_repeated_numbers=repeated_numbers tiles_sigmoid_twice=sigmoid_twice
    tiles_slow_loader=slow_loader tiles_validates_in_train_mode=validates_in_train_mode
    tiles_validates_on_training=validates_on_training tiles_wrong_start=wrong_start
data > volumes: brick_writer bricks nifti plane_files volume_readers=kinds volumes=open
diagnosis > : rates=schedule
"""  # old package > new package: names, with the new one where it changed


@cache
def moves() -> dict[str, str]:
    """New dotted path of a module by its old one, both without `famulus.`."""
    moved = {}
    for line in TABLE.strip().replace("\n    ", " ").splitlines():
        places, _, names = line.partition(": ")
        old, new = (place.strip() for place in places.split(">"))
        for name in names.split():
            before, _, after = name.partition("=")
            moved[f"{old}.{before}"] = f"{new}.{after or before}".lstrip(".")
    return moved


class Moved:
    """A finder of modules (`sys.meta_path`). Asked last, for modules that nobody else has found.

    A package that was taken apart is let through empty, so that the module in it can be named.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        package, _, inside = name.partition(".")
        if package != "famulus":
            return None
        if inside in GONE:
            return ModuleSpec(name, None, is_package=True)
        if new := moves().get(inside):
            # without `name=`, or `from famulus.data import images` would swallow the line
            raise ModuleNotFoundError(
                f"{name} is now famulus.{new}; a task of your own imports from famulus.api"
            )
        return None


def in_its_file(package: str, module: str) -> Callable[[str], NoReturn]:
    """`__getattr__` of a package whose name was a module's: its classes are in `module` now."""

    def missing(name: str) -> NoReturn:
        if name[:1].isupper():
            raise ImportError(f"{package}.{name}: import it from {package}.{module}", name=name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return missing
