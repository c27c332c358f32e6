"""`atlas report`: the numbers of jobs as a page, as JSON or as CSV."""
