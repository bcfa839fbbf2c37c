from setuptools import find_packages, setup

package = "pose_tools"

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
    description="The pose command: the pipeline in one process, bags, replay, doctor, measurements.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["pose = pose_tools.cli.main:main"]},
)
