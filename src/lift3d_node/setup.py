from setuptools import find_packages, setup

package = "lift3d_node"

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
    description="People in 2D lifted to 3D and placed in the camera frame, in metres.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["lift3d = lift3d_node.node:main"]},
)
