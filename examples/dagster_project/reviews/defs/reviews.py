"""The asset upstream of the fine-tuning job: its data."""

from pathlib import Path

import dagster as dg
import pandas as pd

DATA = Path("data/reviews.csv")
WORDS = {
    "positive": ("wonderful", "excellent", "delightful", "brilliant"),
    "negative": ("dreadful", "tedious", "terrible", "disappointing"),
}
SUBJECTS = {
    "films": ("plot", "cast", "ending", "music", "dialogue"),
    "phones": ("screen", "battery", "camera", "charger", "speaker"),
}


@dg.asset(kinds={"pandas", "csv"})
def reviews() -> dg.MaterializeResult:
    """Short reviews with their label, one row each; a column says what the review is about."""
    rows = [
        {"text": f"The {subject} is {degree} {word}.", "label": label, "about": about}
        for about, subjects in SUBJECTS.items()
        for subject in subjects
        for label, words in WORDS.items()
        for word in words
        for degree in ("really", "quite", "simply")
    ]
    table = pd.DataFrame(rows)
    DATA.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(DATA, index=False)
    return dg.MaterializeResult(metadata={"path": dg.MetadataValue.path(DATA.absolute()), "rows": len(table)})
