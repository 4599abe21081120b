"""The online part that needs neither torch nor ROS: from driving to the next bundle.

topics --joining.py--> transitions --pieces.py, recording.py--> data/experience.py --worker.py--> learner
       --candidate bundle--> gate.py --verdict.py--> offer.py --> running nodes; canary.py watches on
"""
