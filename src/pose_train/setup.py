from setuptools import find_packages, setup

package = "pose_train"

setup(
    name=package,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package}"]),
        (f"share/{package}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="Pose Pipeline Maintainers",
    maintainer_email="maintainers@posepipeline.org",
    description="Training of the learned parts: motion capture to synthetic clips, losses, training, evaluation, export.",
    license="Apache-2.0",
    entry_points={"pose_pipeline.backends": ["torch = pose_train.lifter.torch_session:TorchSession"]},
)
