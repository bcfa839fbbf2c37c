from setuptools import find_packages, setup

package = "pose_biomechanics"

setup(
    name=package,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package: ["weights/*.onnx"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package}"]),
        (f"share/{package}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="Pose Pipeline Maintainers",
    maintainer_email="maintainers@posepipeline.org",
    description="Biomechanics without ROS: segment frames, ISB joint angles, marker sets, marker augmentation, angle refinement.",
    license="Apache-2.0",
)
