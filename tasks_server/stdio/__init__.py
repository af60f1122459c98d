"""`tasks-server stdio`: serving one host that has started us and speaks over our stdin and stdout."""
