"""What the scores of task `qsm` mean; formulas in `map_scores`. The others say what the learned
steps amount to (`steps.Amount`)."""

from famulus.config.scores import Score

QSM = {
    "nrmse": Score(unit="% of the map's norm", better="lower"),
    "detrended_nrmse": Score(unit="% of the map's norm", better="lower"),
    "hfen": Score(unit="% of the filtered map's norm", better="lower"),
    "xsim_uniform": Score(better="higher"),
    "xsim_gaussian": Score(better="higher"),
    "ssim": Score(better="higher"),
    "nrmse_whole": Score(unit="% of the map's norm", better="lower"),
    "loss": Score(better="lower", comparable=False, depends_on=("loss.error", "data.form")),
    "grey_matter_slope": Score(unit="map over truth"),  # 1 is right, from either side
    "total_step": Score(),
    "half_power_d": Score(),
    "tikhonov_alpha": Score(),
    "step_spread": Score(),
    "growth": Score(),
}
