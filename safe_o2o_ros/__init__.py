"""Safe offline-to-online vision policies for mobile robots on ROS 2: the map, with the file at each arrow.

Driving. Every arrow is one call, which `evaluation.py` makes in a loop and `nodes/` over topics::

    sim/env.py, cameras --images--> perception/frames.py        pair by stamp
                                      | preprocess.py           resize, stack cameras on channels
    last executed action -----------> v perception/session.py   the command that belongs to the frame
                                    perception/encoder.py       one recurrent step (encoder.onnx)
                                      | types.Latent
                                      v
                                    policy/policy.py            proposals and choice (policy.onnx)
                                      | types.Proposal
         safety/inbox.py -late, who-> v
                                    safety/filter.py            decision table, on risk.py (safety.onnx)
                                      | limits.py              types.Decision: action and reason
                                      v
    base <--twist-- robot.py (raw, effective action, twist) --executed--> encoder, report/recorder.py

Learning, offline::

    sim/demonstrators --cli/collect.py--> data/ --cli/pretrain.py--> learning/ (world_model/)
    an operator --nodes/recorder_node.py--> data/takes.py (bags)
    bags, tubs, folders --cli/import_data.py--> data/ --cli/export_data.py--> bags, Minari
      learning/sequence_phase.py   world model on images
      learning/latents.py          its latents, cached
      learning/agent_phase.py      critics and actor (losses.py)
      learning/calibrate.py        thresholds
      learning/methods.py          other agents on the same latents (cli/baselines.py)
      world_model/export.py, learning/package.py --> bundle.py, manifest.py --> the three networks above

Learning, online::

    topics --online/joining.py--> data/experience.py --learning/online_worker.py--> learning/learner.py
      unpack.py (bundle -> networks), experience.py (latents), online_phase.py, world_model/expansion.py
      --> candidate --online/gate.py--> online/offer.py --> the running nodes (cli/finetune.py: in simulation)

Around it: options.py, base.py -> graph.py (nodes and parameters, once) -> launch/deploy.launch.py or
processes.py; report/ (logs -> numbers, plot, video, page); bootstrap.py (how sure a mean is); monitor/
(topics -> shapes for RViz, who is silent); cli/ (composition); errors.py (what can go wrong, named).
"""

__version__ = "0.1.0"
