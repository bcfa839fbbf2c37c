"""Training of the learned parts. Needs torch (requirements/train.txt), which no robot does: nothing else imports this package
except the `pose` command, when it trains or evaluates."""
