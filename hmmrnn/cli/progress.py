"""The progress bar of a training."""

import sys
from types import TracebackType
from typing import Self

from tqdm import tqdm

from hmmrnn.training import Progress, TrainConfig


class ProgressBar:
    """Epoch, loss against its floor, volatility against that of HMM or data, and the time left."""

    def __init__(self, config: TrainConfig) -> None:
        self.exact_volatility = config.target.volatility(config.data.n_steps)
        self.target = config.target.words.target
        self.started = False
        self.bar = tqdm(
            total=config.train.epochs,
            desc="compiling",
            unit="epoch",
            dynamic_ncols=True,
            mininterval=0.1 if sys.stderr.isatty() else 15,
            bar_format="{desc} {n_fmt}/{total_fmt} |{bar:20}| {remaining} left{postfix}",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.close()

    def __call__(self, progress: Progress) -> None:
        """Show where the training is."""
        done = int(progress.state.epoch)
        if not self.started:  # the first call says where the run begins
            self.started = True
            self.bar.initial = self.bar.n = done
            return
        self.bar.set_description_str("epoch", refresh=False)
        records, floor = progress.records, progress.floor
        bad = int(progress.state.bad_steps)
        self.bar.set_postfix_str(
            f"loss {float(records.loss[done - 1]):.3f} "
            f"(floor {float(floor.mean):.3f} ± {float(floor.std):.3f}), "
            f"volatility {float(records.volatility[done - 1]):.3f} "
            f"({self.target} {self.exact_volatility:.3f})" + (f", {bad} bad steps" if bad else ""),
            refresh=False,
        )
        self.bar.update(done - self.bar.n)
