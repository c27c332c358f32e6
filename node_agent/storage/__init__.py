"""What a storage node keeps: the files of registered models. It announces them on chain and answers audits."""
