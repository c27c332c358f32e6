"""Tables in markdown."""

from assets.shown.markdown import markdown_table
from resources.planning.tables import PlanTable


def test_a_table_in_markdown_shows_its_texts_literally():
    table = PlanTable("rows", {"text": "prose", "n": "number"}, [["a | *b*\n<i>c</i>", "1"]])
    assert markdown_table(table) == "| text | n |\n| --- | ---: |\n| a \\| \\*b\\* \\<i\\>c\\</i\\> | 1 |"
    assert markdown_table(table._replace(rows=[])) == "rows"
