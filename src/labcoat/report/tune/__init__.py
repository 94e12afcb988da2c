"""The report of a campaign: from the document of ``labcoat tune`` to a Paper."""
