"""A number to guess, where an answer B x 1 minus a target B is B x B: all against all.

Journal of pretext, 8/7: the wrong length. The loss stays at the spread of the targets.
"""

from torch import Tensor

from famulus.tasks.pretext.faults.transfer_brightness import Brightness


class Broadcast(Brightness):
    def error(self, answer_B1: Tensor, bright_B: Tensor) -> Tensor:
        return (answer_B1 - bright_B).square().mean()
