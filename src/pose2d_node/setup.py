from setuptools import find_packages, setup

package = "pose2d_node"

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
    description="Camera, video, image folder or image topic to people in 2D (MediaPipe), with ids that persist.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["pose2d = pose2d_node.node:main"]},
)
