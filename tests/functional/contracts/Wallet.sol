// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/*
 * A contract wallet that answers for its owner's signature (ERC-1271). `mood`
 * makes it misbehave: 1 loops, 2 reverts, 3 answers a wrong word, 4 answers a
 * word with something behind it.
 */
contract Wallet {
	address public owner;
	uint256 public mood;

	constructor() {
		owner = msg.sender;
	}

	function setOwner(address next) external {
		require(msg.sender == owner);
		owner = next;
	}

	function setMood(uint256 next) external {
		mood = next;
	}

	function execute(address to, bytes calldata data) external {
		require(msg.sender == owner);
		(bool ok, ) = to.call(data);
		require(ok);
	}

	function isValidSignature(bytes32 digest, bytes calldata proof) external view returns (bytes4) {
		if (mood == 1) {
			for (uint256 i = 0; ; i++)
				digest = keccak256(abi.encode(digest, i));
		}
		require(mood != 2);
		if (mood == 3)
			return 0xffffffff;
		if (mood == 4) {
			assembly {
				mstore(0, 0x1626ba7e00000000000000000000000000000000000000000000000000000001)
				return(0, 32)
			}
		}
		if (proof.length != 65)
			return 0xffffffff;
		bytes32 r = bytes32(proof[0:32]);
		bytes32 s = bytes32(proof[32:64]);
		uint8 v = uint8(proof[64]);
		if (v < 27)
			v += 27;
		return ecrecover(digest, v, r, s) == owner ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
	}
}
